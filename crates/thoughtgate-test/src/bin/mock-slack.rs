//! The Slack double as a process: `{"listening":"127.0.0.1:PORT"}` on stdout, then Slack's Web API
//! at `/api/` and control at `/control/{messages,stats,knobs,react,reset}` until it is ended.

use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use thoughtgate_test::listening;
use thoughtgate_test::mock_slack::{self, Config, Decision, Knobs};

/// A Slack workspace for approvals that fails and decides as it is told.
#[derive(Parser)]
#[command(version)]
struct Flags {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The bearer token that calls must carry.
    #[arg(long, default_value = "xoxb-test", value_name = "TOKEN")]
    token: String,
    /// User id of the bot.
    #[arg(long, default_value = "U0BOT", value_name = "ID")]
    bot_user: String,
    /// Time from a call to its answer, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "N")]
    latency_ms: u64,
    /// Limit the `--next-…` flags to one method, such as `chat.postMessage`.
    #[arg(long, value_name = "METHOD")]
    only_method: Option<String>,
    /// Answer the next N calls with 429 and `Retry-After`.
    #[arg(long, default_value_t = 0, value_name = "N")]
    next_too_many_requests: u32,
    /// The `Retry-After` of these, in seconds.
    #[arg(long, default_value_t = 1, value_name = "N")]
    retry_after_s: u64,
    /// Answer the next N calls with `{"ok":false,"error":"ratelimited"}`.
    #[arg(long, default_value_t = 0, value_name = "N")]
    next_ratelimited: u32,
    /// Answer the next N calls with 503.
    #[arg(long, default_value_t = 0, value_name = "N")]
    next_server_errors: u32,
    /// Answer the next N calls with `"ok":false` and the code of `--refusal`.
    #[arg(long, default_value_t = 0, value_name = "N")]
    next_refused: u32,
    /// The code of these.
    #[arg(long, default_value = "internal_error", value_name = "CODE")]
    refusal: String,
    /// Let the next N calls take effect but lose their answers.
    #[arg(long, default_value_t = 0, value_name = "N")]
    next_lost: u32,
    /// Reaction that is added to each message, such as `white_check_mark`.
    #[arg(long, value_name = "NAME")]
    decision: Option<String>,
    /// Who adds it.
    #[arg(long, default_value = "U0APPROVER", value_name = "ID")]
    decision_user: String,
    /// When, in milliseconds after the message.
    #[arg(long, default_value_t = 0, value_name = "N")]
    decision_after_ms: u64,
    /// End when stdin is closed, so as not to outlive the starter.
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
            decision,
            ..Knobs::default()
        },
    };
    let serving = mock_slack::run(config, listening::announce);
    listening::serve(serving, flags.exit_on_stdin_close)
        .with_context(|| format!("failed to serve at `{}`", flags.listen))
}
