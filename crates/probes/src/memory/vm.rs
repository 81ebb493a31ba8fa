//! Whether two processes run in one address space.

/// `KCMP_VM` of `linux/kcmp.h`.
const KCMP_VM: libc::c_long = 1;

/// Whether processes `a` and `b` share one address space; `false` if the kernel will not say.
pub(super) fn shared(a: i32, b: i32) -> bool {
    // SAFETY: kcmp takes five integers and touches no memory of ours.
    let order = unsafe {
        libc::syscall(
            libc::SYS_kcmp,
            libc::c_long::from(a),
            libc::c_long::from(b),
            KCMP_VM,
            0 as libc::c_long,
            0 as libc::c_long,
        )
    };
    order == 0
}
