//! The registers of an interrupted thread, as a handler of signals may change them.

pub(crate) use machine::{argument, call, fp, pc, set_pc, sp};

#[cfg(target_arch = "x86_64")]
mod machine {
    use libc::{REG_RBP, REG_RDI, REG_RIP, REG_RSI, REG_RSP, c_int, ucontext_t};

    fn register(context: &ucontext_t, register: c_int) -> usize {
        context.uc_mcontext.gregs[register as usize].cast_unsigned() as usize
    }

    fn set(context: &mut ucontext_t, register: c_int, value: usize) {
        context.uc_mcontext.gregs[register as usize] = (value as u64).cast_signed();
    }

    pub(crate) fn pc(context: &ucontext_t) -> usize {
        register(context, REG_RIP)
    }

    pub(crate) fn set_pc(context: &mut ucontext_t, pc: usize) {
        set(context, REG_RIP, pc);
    }

    pub(crate) fn sp(context: &ucontext_t) -> usize {
        register(context, REG_RSP)
    }

    /// The frame pointer.
    pub(crate) fn fp(context: &ucontext_t) -> usize {
        register(context, REG_RBP)
    }

    /// Where functions have their first argument.
    pub(crate) fn argument(context: &ucontext_t) -> usize {
        register(context, REG_RDI)
    }

    /// Has the thread go on as if `to` had just been called with `arguments`, on the stack that ends at `stack`.
    pub(crate) fn call(context: &mut ucontext_t, to: usize, stack: usize, arguments: [usize; 2]) {
        set_pc(context, to);
        set(context, REG_RSP, stack);
        set(context, REG_RDI, arguments[0]);
        set(context, REG_RSI, arguments[1]);
    }
}

#[cfg(target_arch = "aarch64")]
mod machine {
    use libc::ucontext_t;

    pub(crate) fn pc(context: &ucontext_t) -> usize {
        context.uc_mcontext.pc as usize
    }

    pub(crate) fn set_pc(context: &mut ucontext_t, pc: usize) {
        context.uc_mcontext.pc = pc as u64;
    }

    pub(crate) fn sp(context: &ucontext_t) -> usize {
        context.uc_mcontext.sp as usize
    }

    /// The frame pointer.
    pub(crate) fn fp(context: &ucontext_t) -> usize {
        context.uc_mcontext.regs[29] as usize
    }

    /// Where functions have their first argument.
    pub(crate) fn argument(context: &ucontext_t) -> usize {
        context.uc_mcontext.regs[0] as usize
    }

    /// Has the thread go on as if `to` had just been called with `arguments`, on the stack that ends at `stack`.
    pub(crate) fn call(context: &mut ucontext_t, to: usize, stack: usize, arguments: [usize; 2]) {
        set_pc(context, to);
        context.uc_mcontext.sp = stack as u64;
        context.uc_mcontext.regs[0] = arguments[0] as u64;
        context.uc_mcontext.regs[1] = arguments[1] as u64;
    }
}
