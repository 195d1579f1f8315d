//! A filter of system calls (seccomp), as a container's profile sets one.
#![expect(unsafe_code, reason = "the filter is set in the child, between fork and exec")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::{c_int, c_long, c_ulong, sock_filter, sock_fprog};

/// Lets a system call fail with `errno` in the child and its children, from their first instruction on.
pub fn refuse_call(command: &mut Command, call: c_long, errno: c_int) {
    let call = u32::try_from(call).expect("calls are numbered from 0");
    let errno = u32::try_from(errno).expect("error numbers are positive");
    let statement = |code: u32, k: u32| sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut program = [
        // The number is the first field of what a filter sees.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        sock_filter { jf: 1, ..statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call) },
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | errno),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let set = move || {
        let program = sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
        control(libc::PR_SET_NO_NEW_PRIVS, 1, 0)?;
        control(libc::PR_SET_SECCOMP, c_ulong::from(libc::SECCOMP_MODE_FILTER), &raw const program as c_ulong)
    };
    // SAFETY: the closure makes two system calls on memory of its own, which is allowed between fork and exec.
    unsafe { command.pre_exec(set) };
}

fn control(option: c_int, first: c_ulong, second: c_ulong) -> io::Result<()> {
    // SAFETY: the kernel reads what `second` points to, if anything, and it lives until this returns.
    let done = unsafe { libc::prctl(option, first, second, 0, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
