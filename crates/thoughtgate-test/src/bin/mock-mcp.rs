//! The MCP upstream double as a process: `{"listening":"127.0.0.1:PORT"}` on stdout, then service
//! at `/mcp` and control at `/control/{stats,knobs,push,reset}` until it is ended.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Parser;
use thoughtgate_test::listening;
use thoughtgate_test::mock_mcp::{self, Config, Knobs};

/// A static, fast MCP upstream of both eras, with a stated service time and a request counter.
#[derive(Parser)]
#[command(version)]
struct Flags {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Time from a whole request to the first byte of its answer, in microseconds.
    #[arg(long, default_value_t = 0, value_name = "N")]
    service_time_us: u64,
    /// Length of the text in a tool's result, in bytes; 0: the text `ok`.
    #[arg(long, default_value_t = 0, value_name = "N")]
    response_bytes: usize,
    /// Share of requests that fail, 0 to 1, evenly spread.
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    error_rate: f64,
    /// HTTP status of those that fail.
    #[arg(long, default_value_t = 500, value_name = "STATUS")]
    error_status: u16,
    /// Answer requests as an event stream.
    #[arg(long)]
    sse: bool,
    /// Events before the response of such a stream.
    #[arg(long, default_value_t = 0, value_name = "N")]
    sse_events: u32,
    /// Pause between its events, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "N")]
    sse_gap_ms: u64,
    /// Time over which a JSON body is spread, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "N")]
    slow_body_ms: u64,
    /// Tools `tool_0`, `tool_1`, … to list beside `echo`.
    #[arg(long, default_value_t = 2, value_name = "N")]
    tools: usize,
    /// File to which a line is appended for each call of a tool: its name and arguments.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// End when stdin is closed, so as not to outlive the starter.
    #[arg(long)]
    exit_on_stdin_close: bool,
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    ensure!(
        (0.0..=1.0).contains(&flags.error_rate),
        "`--error-rate {}` is no share: give a number from 0 to 1",
        flags.error_rate
    );
    ensure!(
        (200..=999).contains(&flags.error_status),
        "`--error-status {}` is no status of a final answer: give a number from 200 to 999",
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
        // Only the last one is asked for, and keeping more costs time.
        kept_requests: 1,
        ledger: flags.ledger,
    };
    let serving = mock_mcp::run(config, listening::announce);
    listening::serve(serving, flags.exit_on_stdin_close)
        .with_context(|| format!("failed to serve at `{}`", flags.listen))
}
