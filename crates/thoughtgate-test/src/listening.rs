//! What the binaries of the doubles share: the line that tells the address, and their end.
//!
//! A signal ends them as it ends any program; nothing has to be saved.

use std::future::Future;
use std::io::{self, Write};
use std::net::SocketAddr;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Prints the one line `{"listening":"127.0.0.1:4711"}` on stdout.
///
/// # Errors
/// Nobody reads stdout any more.
pub fn announce(address: SocketAddr) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, r#"{{"listening":"{address}"}}"#)?;
    stdout.flush()
}

/// Runs `serving` on a runtime of one thread, to its end or, if wanted, until stdin is closed.
///
/// # Errors
/// What `serving` fails with, or the system has no thread or descriptor left.
pub fn serve(
    serving: impl Future<Output = io::Result<()>>,
    exit_on_stdin_close: bool,
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (ended, stdin_closed) = oneshot::channel();
    if exit_on_stdin_close {
        std::thread::Builder::new().spawn(move || {
            // What is written is of no interest, and an error is an end like any other.
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
