//! The flat guest: some dozen instructions of 64-bit code and no kernel. It needs neither stack, interrupts,
//! nor SSE, so it also runs where KVM has no VMX or SVM beneath it, and it is position independent.

use measure_core::base::ids::{self, FunctionId};
use measure_core::driver_kit::DriverError;

use super::{DATA_READY, HELLO, KEYBOARD, READY, RESET, SERIAL, SERIAL_STATUS};

/// The functions that exist as flat guests.
const KNOWN: [(&str, Function); 2] = [("demo/noop", Function::Noop), ("demo/park", Function::Park)];

/// What a flat guest does between hello and reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// Nothing: the twin of functions/noop.c.
    Noop,
    /// Waits for a byte on the serial port: the twin of functions/park.c.
    Park,
}

impl Function {
    /// The function `id`.
    ///
    /// # Errors
    /// There is no flat guest of it.
    pub fn from_id(id: &FunctionId, rung: &str) -> Result<Self, DriverError> {
        let id = id.to_string();
        let found = KNOWN.iter().find(|(name, _)| *name == id);
        found.map(|(_, function)| *function).ok_or_else(|| {
            let known = KNOWN.map(|(name, _)| name.to_owned());
            DriverError::Usage(format!(
                "{}: the flat guest of rung `{rung}` has no kernel and runs only these; a Linux guest (--kernel, qemu-tcg) runs any native function of the store",
                ids::unknown("function", &id, &known)
            ))
        })
    }

    /// Its code. With `ready`, the guest first says [`READY`] and waits for a byte: where a snapshot is taken.
    #[must_use]
    pub fn code(self, ready: bool) -> Vec<u8> {
        let mut code = Assembler::default();
        if ready {
            code.say(READY);
            code.wait();
        }
        code.say(HELLO);
        if self == Self::Park {
            code.wait();
        }
        code.reset();
        code.0
    }
}

/// Encodes the few instructions that are needed; see the opcode map of the processor's manual.
#[derive(Debug, Default)]
struct Assembler(Vec<u8>);

impl Assembler {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// `mov dx, port`
    fn port(&mut self, port: u16) {
        let [low, high] = port.to_le_bytes();
        self.bytes(&[0x66, 0xba, low, high]);
    }

    /// `mov al, byte; out dx, al` for the port in dx.
    fn out(&mut self, byte: u8) {
        self.bytes(&[0xb0, byte, 0xee]);
    }

    /// Writes `text` and a newline to the serial port.
    fn say(&mut self, text: &str) {
        self.port(SERIAL);
        text.bytes().for_each(|byte| self.out(byte));
        self.out(b'\n');
    }

    /// Waits for a byte on the serial port and takes it.
    fn wait(&mut self) {
        self.port(SERIAL_STATUS);
        // pause; in al, dx; test al, DATA_READY; jz to the pause
        self.bytes(&[0xf3, 0x90, 0xec, 0xa8, DATA_READY, 0x74, 0xf9]);
        self.port(SERIAL);
        // in al, dx
        self.bytes(&[0xec]);
    }

    /// Resets the machine; a machine that does not obey finds a processor that does nothing.
    fn reset(&mut self) {
        self.port(KEYBOARD);
        self.out(RESET);
        // hlt; jmp to the hlt
        self.bytes(&[0xf4, 0xeb, 0xfd]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_functions_are_refused_with_the_way_out() {
        let id: FunctionId = "demo/nop".parse().expect("an id");
        let error = Function::from_id(&id, "kvm-flat")
            .expect_err("refused")
            .to_string();
        assert!(error.contains("did you mean `demo/noop`?"), "{error}");
        assert!(error.contains("--kernel"), "{error}");
        for (name, function) in KNOWN {
            let id: FunctionId = name.parse().expect("an id");
            assert_eq!(Function::from_id(&id, "kvm-flat").expect("known"), function);
        }
    }

    #[test]
    fn the_wait_jumps_back_to_its_pause() {
        let code = Function::Park.code(false);
        let at = code
            .windows(2)
            .position(|w| w == [0x74, 0xf9])
            .expect("a jump");
        let target = at + 2 - 7;
        assert_eq!(code[target..target + 2], [0xf3, 0x90]);
    }
}
