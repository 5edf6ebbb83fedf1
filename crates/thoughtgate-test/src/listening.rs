//! Shared code of the doubles' binaries: the line with the address, and the shutdown.
//!
//! Handles no signals: nothing has to be saved, so the default action is enough.

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Prints the line `{"listening":"127.0.0.1:4711"}` on stdout.
///
/// # Errors
/// Stdout cannot be written.
pub fn announce(address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, r#"{{"listening":"{address}"}}"#)?;
    stdout.flush()
}

/// Runs `serving` on a single-threaded runtime, to its end or, if asked to, until stdin is closed.
///
/// # Errors
/// The error of `serving`, or the system has no thread or descriptor left.
pub fn serve(
    serving: impl Future<Output = io::Result<()>>,
    exit_on_stdin_close: bool,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (ended, stdin_closed) = oneshot::channel();
    if exit_on_stdin_close {
        std::thread::Builder::new().spawn(move || {
            // The input is ignored, and a read error counts as closed.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            let _ = ended.send(());
        })?;
        runtime.block_on(async {
            tokio::select! {
                result = serving => result,
                _ = stdin_closed => Ok(()),
            }
        })
    } else {
        runtime.block_on(serving)
    }
}
