//! The mixed clients as a process: they run until SIGTERM or SIGINT, finish their calls, and write a
//! journal with one line for each call. Judges no result.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::Parser;
use thoughtgate_test::clients::{self, Clients};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Run MCP clients of all kinds at once, until SIGTERM or SIGINT.
#[derive(Parser)]
#[command(version)]
struct Flags {
    /// Endpoint to call: `http://host:port/path`.
    #[arg(long, value_name = "URL")]
    url: String,
    /// File to append one JSON line per call to: role of the client, mark of the call, result.
    #[arg(long, value_name = "FILE")]
    journal: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let journal = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&flags.journal);
    let journal =
        journal.with_context(|| format!("failed to open `{}`", flags.journal.display()))?;
    let clients = Arc::new(Clients {
        url: flags.url,
        journal,
        stop: AtomicBool::new(false),
    });
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Caught before the first call is made, so that no signal cuts a call off.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let told = Arc::clone(&clients);
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            told.stop.store(true, Ordering::Relaxed);
        });
        clients::run(clients)
            .await
            .context("failed to write the journal")
    })
}
