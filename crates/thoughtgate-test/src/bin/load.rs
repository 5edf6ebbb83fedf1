//! The load driver as a process: one slice from flags, or many from JSON lines. Prints one line of
//! JSON for each slice on stdout.
//!
//! Exits with 0 if it could send requests, whatever the server answered: failures are in the counts.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Parser;
use thoughtgate_test::load::{Driver, Era, Expect, Options, Outcome, Slice, call_body};
use tokio::runtime::Builder;
use tokio::sync::mpsc;

/// Send MCP requests at a fixed rate (open loop) or as fast as answers arrive (closed loop).
#[derive(Parser)]
#[command(version)]
struct Flags {
    /// Endpoint to send requests to: `http://host:port/path`.
    #[arg(long, required_unless_present = "slices")]
    url: Option<String>,
    /// Requests per second (open loop); without it the loop is closed.
    #[arg(long, value_name = "R", conflicts_with = "slices")]
    rate: Option<f64>,
    /// Measured time, in milliseconds.
    #[arg(long, required_unless_present = "slices", value_name = "D")]
    duration_ms: Option<u64>,
    /// Duration of the same load before the measurement, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "W")]
    warmup_ms: u64,
    /// Number of keep-alive connections.
    #[arg(long, default_value_t = 10, value_name = "C")]
    connections: usize,
    /// Slices as JSON lines `{"url", "rate"?, "duration_ms", "warmup_ms"?, "connections"?,
    /// "label"?}`, from a file or (`-`) from stdin. Each starts as soon as it is read.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "duration_ms"])]
    slices: Option<PathBuf>,
    /// File with the JSON-RPC message to send; its id is replaced each time.
    #[arg(long, value_name = "FILE", conflicts_with = "tool")]
    body: Option<PathBuf>,
    /// Tool to call, without `--body`.
    #[arg(long, default_value = "tool_0", value_name = "NAME")]
    tool: String,
    /// Protocol of the call of `--tool`.
    #[arg(long, value_enum, default_value_t = Era::Legacy)]
    era: Era,
    /// Request header as `name: value`; can be repeated.
    #[arg(long = "header", value_name = "K:V")]
    headers: Vec<String>,
    /// HTTP status of a correct answer.
    #[arg(long, default_value_t = 200, value_name = "STATUS")]
    expect_status: u16,
    /// Text that a correct answer contains.
    #[arg(long, value_name = "SUBSTR")]
    expect_body: Option<String>,
    /// Require that a correct answer is a JSON-RPC result with the id of its request (the default
    /// for status 200 without `--expect-body`).
    #[arg(long)]
    expect_id_echo: bool,
    /// Time limit for one answer, in milliseconds.
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    timeout_ms: u64,
    /// Time after the end in which late requests are still started, in milliseconds.
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    drain_ms: u64,
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let options = options(&flags)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut driver = Driver::new(options)?;
        if let Some(source) = &flags.slices {
            return drive_slices(&mut driver, source).await;
        }
        let slice = Slice {
            url: flags.url.unwrap_or_default(),
            rate: flags.rate,
            duration_ms: flags.duration_ms.unwrap_or_default(),
            warmup_ms: flags.warmup_ms,
            connections: None,
            label: None,
        };
        print(&driver.run(&slice).await?)
    })
}

fn options(flags: &Flags) -> anyhow::Result<Options> {
    let (body, mut headers) = match &flags.body {
        None => call_body(&flags.tool, flags.era),
        Some(path) => {
            let body = std::fs::read(path)
                .with_context(|| format!("failed to read `{}`", path.display()))?;
            (body, Vec::new())
        }
    };
    for header in &flags.headers {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| anyhow!("invalid `--header {header}`: expected `name: value`"))?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let checks_id_by_default = flags.expect_status == 200 && flags.expect_body.is_none();
    Ok(Options {
        body,
        headers,
        expect: Expect {
            status: flags.expect_status,
            body: flags.expect_body.clone(),
            id_echo: flags.expect_id_echo || checks_id_by_default,
        },
        connections: flags.connections,
        timeout: Duration::from_millis(flags.timeout_ms),
        drain: Duration::from_millis(flags.drain_ms),
    })
}

async fn drive_slices(driver: &mut Driver, source: &Path) -> anyhow::Result<()> {
    let reader: Box<dyn Read + Send> = if source == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        let file = std::fs::File::open(source);
        Box::new(file.with_context(|| format!("failed to open `{}`", source.display()))?)
    };
    // Read on a separate thread: the connections must be served while no slice is running.
    let (lines, mut slices) = mpsc::unbounded_channel();
    std::thread::Builder::new().spawn(move || {
        BufReader::new(reader)
            .lines()
            .take_while(|line| {
                lines
                    .send(line.as_ref().map_err(ToString::to_string).cloned())
                    .is_ok()
            })
            .for_each(drop);
    })?;
    let mut number = 0;
    while let Some(line) = slices.recv().await {
        number += 1;
        let line = line.map_err(|error| anyhow!(error))?;
        if line.trim().is_empty() {
            continue;
        }
        let slice: Slice = serde_json::from_str(&line)
            .with_context(|| format!("failed to parse slice {number} `{line}`"))?;
        let outcome = driver.run(&slice).await;
        print(&outcome.with_context(|| format!("failed to run slice {number} `{line}`"))?)?;
    }
    Ok(())
}

fn print(outcome: &Outcome) -> anyhow::Result<()> {
    // Flushed at once: who started this process may wait for the line before it sends the next slice.
    let mut stdout = std::io::stdout().lock();
    serde_json::to_writer(&mut stdout, outcome)?;
    writeln!(stdout)?;
    stdout.flush().context("failed to write the result")
}
