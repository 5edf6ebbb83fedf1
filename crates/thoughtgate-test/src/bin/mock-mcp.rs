//! The MCP upstream double as a process: prints `{"listening":"127.0.0.1:PORT"}` on stdout, then serves
//! `/mcp` and `/control/{stats,knobs,push,reset}` until it is killed.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Parser;
use thoughtgate_test::listening;
use thoughtgate_test::mock_mcp::{self, Config, Knobs};

/// A fast MCP server with static answers, for tests: both eras, configurable service time, counters.
#[derive(Parser)]
#[command(version)]
struct Flags {
    /// Address to listen on; port 0 selects a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Time from the end of a request to the first byte of its answer, in microseconds.
    #[arg(long, default_value_t = 0, value_name = "N")]
    service_time_us: u64,
    /// Length of the text in a tool's result, in bytes; 0 means the text `ok`.
    #[arg(long, default_value_t = 0, value_name = "N")]
    response_bytes: usize,
    /// Share of requests that fail, 0 to 1, evenly spread.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    error_rate: f64,
    /// HTTP status of the requests that fail.
    #[arg(long, default_value_t = 500, value_name = "STATUS")]
    error_status: u16,
    /// Answer requests as an event stream.
    #[arg(long)]
    sse: bool,
    /// Number of events before the response in an event stream.
    #[arg(long, default_value_t = 0, value_name = "N")]
    sse_events: u32,
    /// Pause between the events of a stream, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "N")]
    sse_gap_ms: u64,
    /// Time over which a JSON body is spread, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "N")]
    slow_body_ms: u64,
    /// Number of tools `tool_0`, `tool_1`, … to list besides `echo`.
    #[arg(long, default_value_t = 2, value_name = "N")]
    tools: usize,
    /// File to append one JSON line per tool call to: name and arguments.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Exit when stdin is closed, so as not to outlive the parent process.
    #[arg(long)]
    exit_on_stdin_close: bool,
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    ensure!(
        (0.0..=1.0).contains(&flags.error_rate),
        "`--error-rate {}` must be between 0 and 1",
        flags.error_rate
    );
    ensure!(
        (200..=999).contains(&flags.error_status),
        "`--error-status {}` must be between 200 and 999",
        flags.error_status
    );
    let config = Config {
        listen: flags.listen,
        knobs: Knobs {
            service_time_us: flags.service_time_us,
            response_bytes: flags.response_bytes,
            error_rate: flags.error_rate,
            error_status: flags.error_status,
            sse: flags.sse,
            sse_events: flags.sse_events,
            sse_gap_ms: flags.sse_gap_ms,
            slow_body_ms: flags.slow_body_ms,
            ..Knobs::default()
        },
        tools: flags.tools,
        // `/control/stats` shows only the last request, and keeping more costs time.
        kept_requests: 1,
        ledger: flags.ledger,
    };
    let serving = mock_mcp::run(config, listening::announce);
    listening::serve(serving, flags.exit_on_stdin_close)
        .with_context(|| format!("failed to serve at `{}`", flags.listen))
}
