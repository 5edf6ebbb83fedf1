//! A call that needs approval: the time from sending it until Slack has received the request.
//!
//! Nobody ever answers: the waiting client is dropped once its message has arrived.

use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use serde_json::json;

use super::super::catalog::{APPROVAL_OVERHEAD, Metric};
use super::super::context::Context;
use super::super::recorder::{Recorder, median};
use super::super::subject::Subject;
use super::block::{self, Block, Figure, Measured, Plan};
use super::{SubjectFiles, attempt};
use crate::interrupt;
use crate::tools::subject::{Proxy, SLACK_TOKEN, Slack, Upstream};

/// Times of the calls of one process, in milliseconds.
const FIGURES: &[Figure<Vec<f64>>] = &[(&APPROVAL_OVERHEAD, |times| median(times))];
const TOOL: &str = "approvedtool";
/// Calls of one process. The first one finds everything cold; their median leaves it out.
const CALLS: usize = 5;
/// Minimum time between two Slack messages that the proxy is configured with.
const POST_INTERVAL_MS: u64 = 200;
/// Time between two calls: longer than that, so that no message waits for the one before.
const SPACING: Duration = Duration::from_millis(POST_INTERVAL_MS + 100);
/// Time limit of a message. Far above the target of 500 ms, so that a missed target is still a figure.
const DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(5);
/// Largest accepted difference between wall clock and monotonic clock over one call.
const CLOCK_DRIFT_MAX: Duration = Duration::from_millis(1);

/// The reason why a block is void.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the system clock was changed during a call")]
    ClockChanged,
    #[error("the message does not show the call: {0}")]
    OtherMessage(String),
    #[error("{0} calls reached the upstream before anybody approved")]
    Forwarded(u64),
}

pub fn metrics() -> Vec<&'static Metric> {
    block::metrics(FIGURES)
}

pub fn planned_seconds(quick: bool, recorder: &Recorder) -> f64 {
    plan(quick).seconds_for(FIGURES, recorder)
}

pub fn collect(
    context: &Context<'_>,
    subject: &Subject,
    recorder: &mut Recorder,
) -> anyhow::Result<()> {
    attempt(context, recorder, &metrics(), |recorder| {
        recorder.setting("approval_post_interval_ms", POST_INTERVAL_MS.into());
        let plan = plan(context.quick);
        block::run(context, subject, recorder, FIGURES, &plan, &mut |number| {
            measure(context, subject, number)
        })?;
        Ok(())
    })
}

fn plan(quick: bool) -> Plan {
    let seconds_each = CALLS as f64 * SPACING.as_secs_f64() + 0.5;
    let blocks = if quick { 1 } else { 6 };
    Plan::new("approval", blocks, seconds_each).with_psi_below(20.0)
}

/// Appended to the configuration of all scenarios.
fn configuration(slack: &str) -> String {
    format!(
        "approval:\n  \
           store: memory\n  \
           timeout: 10m\n  \
           slack:\n    \
             base_url: {slack}\n    \
             token: {SLACK_TOKEN}\n    \
             channel: C0123456789\n    \
             approvers: [U0123456789]\n    \
             post_interval: {POST_INTERVAL_MS}ms\n"
    )
}

/// Appended to the policies of all scenarios.
fn policy() -> String {
    format!(
        "\n@id(\"humans-approve\") @approve\npermit (\n    \
             principal,\n    \
             action == Action::\"tools/call\",\n    \
             resource == Tool::\"{TOOL}\"\n);\n"
    )
}

fn measure(
    context: &Context<'_>,
    subject: &Subject,
    block: usize,
) -> anyhow::Result<Block<Vec<f64>>> {
    let mut slack = Slack::start(&context.release_dir)?;
    let mut upstream = Upstream::start(&context.release_dir, Duration::ZERO)?;
    let files = SubjectFiles::write_with(&configuration(&slack.url()), &policy())?;
    let mut proxy = Proxy::start(&files.setup(subject, &upstream))?;
    let mut times = Vec::new();
    for number in 0..CALLS {
        // Equal calls may share one request to the approvers.
        let marker = format!("order-{block}-{number}");
        match one(&mut proxy, &mut slack, &marker, number)? {
            Ok(taken) => times.push(taken.as_secs_f64() * 1000.0),
            Err(fault) => return Ok(Block::Void(fault.to_string())),
        }
        interrupt::rest(SPACING)?;
    }
    // A call that reached the upstream was not held back, so that its time means nothing.
    let forwarded = upstream.counts()?.tool_calls;
    if forwarded > 0 {
        return Ok(Block::Void(Fault::Forwarded(forwarded).to_string()));
    }
    let messages = slack.messages()?.len();
    let raw = json!({ "calls_ms": times, "messages": messages });
    Ok(Block::Measured(Measured::new(times, raw)))
}

/// Makes one call, and returns how long its message took, or why the block is void.
///
/// The time of arrival is reported by another process, the Slack double, in wall-clock time: both read
/// the same clock, but somebody may set it meanwhile, which the monotonic clock shows.
fn one(
    proxy: &mut Proxy,
    slack: &mut Slack,
    marker: &str,
    messages_before: usize,
) -> anyhow::Result<Result<Duration, Fault>> {
    let mut call = proxy.call(TOOL, &json!({ "order": marker }))?;
    // Both clocks at one moment, so that they can be compared when the message has arrived.
    let (sent, started) = (SystemTime::now(), Instant::now());
    call.send()?;
    let message = interrupt::until(DEADLINE, POLL, || {
        if let Some(message) = slack.messages()?.into_iter().nth(messages_before) {
            return Ok(Some(message));
        }
        proxy.check_running().map(|()| None)
    })?;
    let message = message.with_context(|| {
        format!("no message reached Slack within {DEADLINE:?} of a call that needs approval")
    })?;
    // A clock that was set back gives an error; taken as 0, it differs from the monotonic one.
    let by_wall_clock = sent.elapsed().unwrap_or_default();
    if by_wall_clock.abs_diff(started.elapsed()) > CLOCK_DRIFT_MAX {
        return Ok(Err(Fault::ClockChanged));
    }
    if !message.text().contains(TOOL) || !message.shows(marker) {
        return Ok(Err(Fault::OtherMessage(message.text().to_owned())));
    }
    let taken = message.received().duration_since(sent);
    taken
        .map(Ok)
        .context("the message arrived before the call was sent")
}
