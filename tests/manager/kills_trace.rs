//! A child process that is killed with SIGKILL right before one of its writes: the kernel
//! stops it at every system call (ptrace), and those that change files are counted.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use libc::{c_int, c_long, c_void, pid_t};

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Killed before the write that was asked for.
    Killed,
    /// By itself, with this status, after so many writes.
    ByItself { status: c_int, writes: usize },
}

/// Runs the command and kills it before its write number `kill` (from 0) below `root`;
/// `None` lets it run to its end.
#[expect(clippy::zombie_processes, reason = "it is waited for by its id")]
pub fn run(command: &mut Command, root: &Path, kill: Option<usize>) -> Ended {
    // SAFETY: between fork and exec, one system call that takes no memory.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
    let child = command.spawn().unwrap();
    let child = pid_t::try_from(child.id()).unwrap();
    let trace = Trace { child, root };
    trace.follow(kill)
}

struct Trace<'a> {
    child: pid_t,
    root: &'a Path,
}

impl Trace<'_> {
    fn follow(&self, kill: Option<usize>) -> Ended {
        // Stopped at its exec.
        let (_, status) = self.wait();
        assert!(
            libc::WIFSTOPPED(status),
            "the child failed at its start: {status:#x}"
        );
        let options =
            libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
        self.ask(libc::PTRACE_SETOPTIONS, self.child, options as usize);
        self.ask(libc::PTRACE_SYSCALL, self.child, 0);
        let mut writes = 0;
        loop {
            let (thread, status) = self.wait();
            if !libc::WIFSTOPPED(status) {
                // A thread's end is no end of the process.
                if thread == self.child {
                    return Ended::ByItself { status, writes };
                }
                continue;
            }
            let signal = libc::WSTOPSIG(status);
            let mut deliver = 0;
            if signal == libc::SIGTRAP | 0x80 {
                if self.is_write(thread) {
                    if kill == Some(writes) {
                        self.kill();
                        return Ended::Killed;
                    }
                    writes += 1;
                }
            } else if signal != libc::SIGTRAP && signal != libc::SIGSTOP {
                deliver = usize::try_from(signal).unwrap();
            }
            self.ask(libc::PTRACE_SYSCALL, thread, deliver);
        }
    }

    fn kill(&self) {
        // SAFETY: a signal to a child of ours that isn't waited for yet.
        unsafe { libc::kill(self.child, libc::SIGKILL) };
        loop {
            let (thread, status) = self.wait();
            if thread == self.child && !libc::WIFSTOPPED(status) {
                return;
            }
        }
    }

    /// Waits for any thread of the child; other children belong to other threads of the test.
    fn wait(&self) -> (pid_t, c_int) {
        let mut status = 0;
        // SAFETY: `status` lives for the call.
        let thread =
            unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
        assert!(thread > 0, "waiting: {}", io::Error::last_os_error());
        (thread, status)
    }

    fn ask(&self, request: libc::c_uint, thread: pid_t, data: usize) {
        // SAFETY: none of these requests reads or writes memory of this process.
        unsafe { libc::ptrace(request, thread, 0, data as *mut c_void) };
    }

    /// True where the thread is about to change a file.
    fn is_write(&self, thread: pid_t) -> bool {
        // SAFETY: plain data; all zeros is a value of it.
        let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
        let size = size_of_val(&info);
        // SAFETY: the kernel writes `size` bytes at most.
        let got =
            unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, thread, size, &raw mut info) };
        if got <= 0 || info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
            return false;
        }
        // SAFETY: `op` says that this is the part that is set.
        let entry = unsafe { info.u.entry };
        let number = c_long::try_from(entry.nr).unwrap();
        let creates = |flags: u64| {
            let flags = c_int::try_from(flags & 0xffff_ffff).unwrap_or_default();
            flags & (libc::O_CREAT | libc::O_TRUNC) != 0
        };
        if TO_A_FILE.contains(&number) {
            // Pipes and the test's own output are no files of the project.
            let fd = format!("/proc/{}/fd/{}", self.child, entry.args[0]);
            return std::fs::read_link(fd).is_ok_and(|path| path.starts_with(self.root));
        }
        match number {
            libc::SYS_openat => creates(entry.args[2]),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_open => creates(entry.args[1]),
            number => TO_A_PATH.contains(&number),
        }
    }
}

/// Calls that write to an open file, which is their first argument.
const TO_A_FILE: &[c_long] = &[
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fchmod,
];

/// Calls that change what a path names.
const TO_A_PATH: &[c_long] = &[
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_mkdirat,
    libc::SYS_symlinkat,
    libc::SYS_linkat,
    libc::SYS_fchmodat,
    libc::SYS_fchmodat2,
    libc::SYS_truncate,
    libc::SYS_utimensat,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rename,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_mkdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_rmdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_symlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_link,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_creat,
];
