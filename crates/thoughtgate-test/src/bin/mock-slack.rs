//! The Slack double as a process: prints `{"listening":"127.0.0.1:PORT"}` on stdout, then serves
//! Slack's Web API at `/api/` and `/control/{messages,stats,knobs,react,reset}` until it is killed.

use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use thoughtgate_test::listening;
use thoughtgate_test::mock_slack::{self, Config, Decision, Knobs};

/// A fake Slack workspace for approvals, for tests: fails and reacts on demand.
#[derive(Parser)]
#[command(version)]
struct Flags {
    /// Address to listen on; port 0 selects a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Bearer token that calls must have.
    #[arg(long, default_value = "xoxb-test", value_name = "TOKEN")]
    token: String,
    /// User id of the bot.
    #[arg(long, default_value = "U0BOT", value_name = "ID")]
    bot_user: String,
    /// Time from a call to its answer, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "N")]
    latency_ms: u64,
    /// Apply the `--next-…` flags to one method only, such as `chat.postMessage`.
    #[arg(long, value_name = "METHOD")]
    only_method: Option<String>,
    /// Answer the next N calls with 429 and `Retry-After`.
    #[arg(long, default_value_t = 0, value_name = "N")]
    next_too_many_requests: u32,
    /// `Retry-After` of `--next-too-many-requests`, in seconds.
    #[arg(long, default_value_t = 1, value_name = "N")]
    retry_after_s: u64,
    /// Answer the next N calls with `{"ok":false,"error":"ratelimited"}`.
    #[arg(long, default_value_t = 0, value_name = "N")]
    next_ratelimited: u32,
    /// Answer the next N calls with 503.
    #[arg(long, default_value_t = 0, value_name = "N")]
    next_server_errors: u32,
    /// Answer the next N calls with `"ok":false` and the error code of `--refusal`.
    #[arg(long, default_value_t = 0, value_name = "N")]
    next_refused: u32,
    /// Error code of `--next-refused`.
    #[arg(long, default_value = "internal_error", value_name = "CODE")]
    refusal: String,
    /// Let the next N calls take effect, but close the connection instead of answering.
    #[arg(long, default_value_t = 0, value_name = "N")]
    next_lost: u32,
    /// Scopes of the token, separated by commas [default: all that the methods of this double need].
    #[arg(long, value_delimiter = ',', value_name = "SCOPES")]
    scopes: Option<Vec<String>>,
    /// Reaction to add to each message, such as `white_check_mark`.
    #[arg(long, value_name = "NAME")]
    decision: Option<String>,
    /// User id that adds the reaction of `--decision`.
    #[arg(long, default_value = "U0APPROVER", value_name = "ID")]
    decision_user: String,
    /// Delay of the reaction of `--decision` after the message, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "N")]
    decision_after_ms: u64,
    /// Exit when stdin is closed, so as not to outlive the parent process.
    #[arg(long)]
    exit_on_stdin_close: bool,
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let decision = flags.decision.map(|reaction| Decision {
        after_ms: flags.decision_after_ms,
        user: flags.decision_user,
        reaction,
    });
    let config = Config {
        listen: flags.listen,
        token: flags.token,
        bot_user: flags.bot_user,
        knobs: Knobs {
            latency_ms: flags.latency_ms,
            only_method: flags.only_method,
            next_too_many_requests: flags.next_too_many_requests,
            retry_after_s: flags.retry_after_s,
            next_ratelimited: flags.next_ratelimited,
            next_server_errors: flags.next_server_errors,
            next_refused: flags.next_refused,
            refusal: flags.refusal,
            next_lost: flags.next_lost,
            scopes: flags.scopes,
            decision,
            ..Knobs::default()
        },
    };
    let serving = mock_slack::run(config, listening::announce);
    listening::serve(serving, flags.exit_on_stdin_close)
        .with_context(|| format!("failed to serve at `{}`", flags.listen))
}
