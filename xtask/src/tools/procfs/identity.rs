//! Checks that a process is the program that it was started as, and not a wrapper of it. What the
//! system does not show is no evidence against a process.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::ensure;

/// Fails for a process that runs another file than `program`, or does not listen on `address` itself:
/// its memory and CPU time would be those of a wrapper.
pub fn check_program(pid: u32, program: &Path, address: SocketAddr) -> anyhow::Result<()> {
    let shown = program.display();
    ensure!(
        system::runs(pid, program).unwrap_or(true),
        "process {pid} was started as `{shown}` but runs another executable: a wrapper cannot be \
         measured, name the executable that it runs"
    );
    ensure!(
        system::listens(pid, address).unwrap_or(true),
        "`{shown}` (process {pid}) does not listen on {address} itself, a process that it started \
         does: a wrapper cannot be measured, name the executable that it runs"
    );
    Ok(())
}

/// The command line of a process.
///
/// # Errors
/// When there is no such process, or its command line cannot be read.
pub fn command_line(pid: u32) -> anyhow::Result<Vec<String>> {
    system::command_line(pid)
}

#[cfg(target_os = "linux")]
mod system {
    use std::net::SocketAddr;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    use anyhow::Context as _;
    use procfs::net::TcpState;
    use procfs::process::{FDTarget, Process};

    /// Whether the process runs the file `program`; none when that cannot be found out.
    pub(super) fn runs(pid: u32, program: &Path) -> Option<bool> {
        let running = std::fs::metadata(format!("/proc/{pid}/exe")).ok()?;
        let file = std::fs::metadata(program).ok()?;
        // Compared by inode, since `program` may be a path through links.
        Some((running.dev(), running.ino()) == (file.dev(), file.ino()))
    }

    /// Whether the process itself listens on the port; none when that cannot be found out, or no
    /// process listens on it.
    pub(super) fn listens(pid: u32, address: SocketAddr) -> Option<bool> {
        let process = Process::new(i32::try_from(pid).ok()?).ok()?;
        // These are all sockets of its network namespace; its own are recognised below, by their inodes.
        let sockets = process.tcp().ok()?.into_iter().chain(process.tcp6().ok()?);
        let listening: Vec<u64> = sockets
            .filter(|socket| socket.state == TcpState::Listen)
            // By port only: a program that listens on all addresses is shown with another address.
            .filter(|socket| socket.local_address.port() == address.port())
            .map(|socket| socket.inode)
            .collect();
        let mut own = process.fd().ok()?.flatten();
        let is_own = own.any(|descriptor| match descriptor.target {
            FDTarget::Socket(inode) => listening.contains(&inode),
            _ => false,
        });
        (!listening.is_empty()).then_some(is_own)
    }

    pub(super) fn command_line(pid: u32) -> anyhow::Result<Vec<String>> {
        let id = i32::try_from(pid).with_context(|| format!("{pid} is not a process id"))?;
        let arguments = Process::new(id).and_then(|process| process.cmdline());
        arguments.with_context(|| format!("failed to read the command line of process {pid}"))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::net::SocketAddr;
    use std::path::Path;

    pub(super) fn runs(_pid: u32, _program: &Path) -> Option<bool> {
        None
    }

    pub(super) fn listens(_pid: u32, _address: SocketAddr) -> Option<bool> {
        None
    }

    pub(super) fn command_line(_pid: u32) -> anyhow::Result<Vec<String>> {
        anyhow::bail!("the command line of a process can be read only on Linux (from `/proc`)")
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::tools::process::Launch;

    fn refusal(pid: u32, program: &Path, address: SocketAddr) -> String {
        let error = check_program(pid, program, address).unwrap_err();
        error.to_string()
    }

    #[test]
    fn a_process_that_listens_itself_is_what_it_seems() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, program) = (listener.local_addr().unwrap(), std::env::current_exe());
        check_program(std::process::id(), &program.unwrap(), address).unwrap();
    }

    #[test]
    fn a_wrapper_is_refused_whether_it_waits_or_is_replaced() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let sleep = Launch::new("sleep").arg("60").start().unwrap();
        let program = std::fs::canonicalize(format!("/proc/{}/exe", sleep.pid())).unwrap();
        // Another process listens on the address: this one.
        let message = refusal(sleep.pid(), &program, address);
        assert!(
            message.contains("does not listen on 127.0.0.1:"),
            "{message}"
        );
        let own = std::env::current_exe().unwrap();
        let message = refusal(sleep.pid(), &own, address);
        assert!(message.contains("runs another executable"), "{message}");
        // The kernel fills it in a moment after the start.
        while command_line(sleep.pid()).unwrap().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(command_line(sleep.pid()).unwrap(), ["sleep", "60"]);
        assert!(command_line(0x3fff_fffe).is_err());
    }
}
