//! The processor's state before any guest, to be put back before the next one: what a machine that is used
//! again must not carry over.

use kvm_bindings::{
    Msrs, kvm_debugregs, kvm_msr_entry, kvm_sregs, kvm_vcpu_events, kvm_xcrs, kvm_xsave,
};
use kvm_ioctls::{Kvm, VcpuFd};
use measure_core::driver_kit::DriverError;

use super::machine::{Machine, start_failed};

/// The time stamp counter goes on: it is no one's secret, and setting it is slow.
const TIME_STAMP_COUNTER: u32 = 0x10;

/// The state of a processor in which no guest has run. What this KVM has no call for, no guest of it can change.
pub(super) struct Pristine {
    sregs: kvm_sregs,
    xsave: Option<kvm_xsave>,
    xcrs: Option<kvm_xcrs>,
    debug: Option<kvm_debugregs>,
    events: Option<kvm_vcpu_events>,
    msrs: Option<Msrs>,
}

impl std::fmt::Debug for Pristine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pristine")
    }
}

impl Pristine {
    /// Reads the state of `machine`, in which no guest has run.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(super) fn capture(kvm: &Kvm, machine: &Machine) -> Result<Self, DriverError> {
        let vcpu = machine.vcpu();
        Ok(Self {
            sregs: vcpu
                .get_sregs()
                .map_err(|e| start_failed("KVM_GET_SREGS", e))?,
            xsave: vcpu.get_xsave().ok(),
            xcrs: vcpu.get_xcrs().ok(),
            debug: vcpu.get_debug_regs().ok(),
            events: vcpu.get_vcpu_events().ok(),
            msrs: msrs(kvm, vcpu)?,
        })
    }

    /// Puts it back.
    ///
    /// # Errors
    /// The kernel refuses.
    pub(super) fn restore(&self, machine: &Machine) -> Result<(), DriverError> {
        let vcpu = machine.vcpu();
        let put = |what: &'static str, outcome: Option<Result<(), kvm_ioctls::Error>>| {
            outcome.unwrap_or(Ok(())).map_err(|e| start_failed(what, e))
        };
        put("KVM_SET_SREGS", Some(vcpu.set_sregs(&self.sregs)))?;
        // SAFETY: the state was read from this processor, so it has no part that the kernel has no room for.
        let xsave = self.xsave.as_ref().map(|s| unsafe { vcpu.set_xsave(s) });
        put("KVM_SET_XSAVE", xsave)?;
        put("KVM_SET_XCRS", self.xcrs.as_ref().map(|s| vcpu.set_xcrs(s)))?;
        put(
            "KVM_SET_DEBUGREGS",
            self.debug.as_ref().map(|s| vcpu.set_debug_regs(s)),
        )?;
        put(
            "KVM_SET_VCPU_EVENTS",
            self.events.as_ref().map(|s| vcpu.set_vcpu_events(s)),
        )?;
        match &self.msrs {
            Some(msrs) => set_msrs(vcpu, msrs),
            None => Ok(()),
        }
    }
}

fn set_msrs(vcpu: &VcpuFd, msrs: &Msrs) -> Result<(), DriverError> {
    let wanted = msrs.as_slice().len();
    let set = vcpu
        .set_msrs(msrs)
        .map_err(|e| start_failed("KVM_SET_MSRS", e))?;
    if set == wanted {
        return Ok(());
    }
    let refused = msrs.as_slice().get(set).map_or(0, |msr| msr.index);
    Err(start_failed(
        "KVM_SET_MSRS",
        format!("register {refused:#x} refused"),
    ))
}

/// The model-specific registers that can be read and put back.
fn msrs(kvm: &Kvm, vcpu: &VcpuFd) -> Result<Option<Msrs>, DriverError> {
    let Ok(list) = kvm.get_msr_index_list() else {
        return Ok(None);
    };
    let mut kept = Vec::new();
    for &index in list.as_slice() {
        let one = |data| {
            let entry = kvm_msr_entry {
                index,
                data,
                ..kvm_msr_entry::default()
            };
            Msrs::from_entries(&[entry]).ok()
        };
        let Some(mut read) = one(0).filter(|_| index != TIME_STAMP_COUNTER) else {
            continue;
        };
        // Some are listed for the host's sake and do not exist in this guest.
        if vcpu.get_msrs(&mut read) == Ok(1) && vcpu.set_msrs(&read) == Ok(1) {
            kept.extend_from_slice(read.as_slice());
        }
    }
    Msrs::from_entries(&kept)
        .map(Some)
        .map_err(|e| DriverError::Failed(format!("too many model-specific registers: {e:?}")))
}

#[cfg(test)]
mod tests {
    use driver_testkit::skipped;

    use super::super::machine::CODE;
    use super::*;

    /// `mov eax, 0x5a5a5a5a; mov [0xc000], eax; mov dr0, rax;` then writes `eax` to IA32_SYSENTER_ESP and resets.
    const SCRIBBLER: [u8; 29] = [
        0xb8, 0x5a, 0x5a, 0x5a, 0x5a, 0x89, 0x04, 0x25, 0x00, 0xc0, 0x00, 0x00, 0x0f, 0x23, 0xc0,
        0x31, 0xd2, 0xb9, 0x75, 0x01, 0x00, 0x00, 0x0f, 0x30, 0xb0, 0xfe, 0xe6, 0x64, 0xf4,
    ];
    const SCRIBBLED: u64 = 0xc000;
    const SYSENTER_ESP: u32 = 0x175;

    fn sysenter_esp(machine: &Machine) -> u64 {
        let mut msrs = Msrs::from_entries(&[kvm_msr_entry {
            index: SYSENTER_ESP,
            ..kvm_msr_entry::default()
        }])
        .expect("one");
        assert_eq!(machine.vcpu().get_msrs(&mut msrs), Ok(1));
        msrs.as_slice()[0].data
    }

    #[test]
    fn what_a_guest_leaves_is_gone() {
        let kvm = match (super::super::lacks(), super::super::trial(true), Kvm::new()) {
            (None, Ok(()), Ok(kvm)) => kvm,
            (lacks, trial, _) => {
                let why = format!("{lacks:?}, {trial:?}");
                return skipped("erasing a machine that is used again", why);
            }
        };
        let mut machine = Machine::new(&kvm).expect("a machine");
        let pristine = Pristine::capture(&kvm, &machine).expect("its state");
        let before = (
            sysenter_esp(&machine),
            machine.vcpu().get_debug_regs().expect("read"),
        );
        machine.load(&SCRIBBLER).expect("loaded");
        machine.run(&mut |_| Ok(())).expect("reset");
        assert_eq!(machine.read(SCRIBBLED, 4).expect("inside"), [0x5a; 4]);
        assert_ne!(sysenter_esp(&machine), before.0, "the guest wrote nothing");
        machine.erase().expect("erased");
        pristine.restore(&machine).expect("put back");
        assert_eq!(machine.read(SCRIBBLED, 4).expect("inside"), [0; 4]);
        assert_eq!(machine.read(CODE, 29).expect("inside"), [0; 29]);
        assert_eq!(sysenter_esp(&machine), before.0);
        assert_eq!(machine.vcpu().get_debug_regs().expect("read"), before.1);
    }
}
