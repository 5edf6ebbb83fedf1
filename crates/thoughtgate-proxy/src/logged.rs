//! Lines of the log about requests: refusals, of which a burst is only counted, and states of approvals.
//!
//! A permitted request logs nothing. Ids and names are logged, arguments never, and of a resource's URI not
//! the parts in which secrets are sent; the audit has every decision.

use std::borrow::Cow;

use thoughtgate_approval::{Id, State, View};
use thoughtgate_panic::info;
use thoughtgate_panic::log::{INTERVAL, Level, Sample, is_logged};
use thoughtgate_policy::{Decision, Target};
use tokio::runtime::Handle;

use crate::address::without_secrets;

/// Refusals of the process, by policy and before a decision.
static REFUSALS: Sample = Sample::new();

/// Logs a refusal before any decision; `reason` quotes no argument.
#[cold]
pub fn refused(status: u16, reason: impl FnOnce() -> String) {
    if admits() {
        info!(status = status; "refused: {}", reason());
    }
}

/// Logs that the policies refuse a request of `principal`; `method` is the label of its target.
#[cold]
pub fn rejected(principal: &str, method: &str, target: &Target<'_>, decision: &Decision) {
    if !admits() {
        return;
    }
    let name = match target {
        Target::Tool(name) | Target::Prompt(name) => Some(Cow::Borrowed(*name)),
        Target::Resource { uri, .. } => Some(Cow::Owned(without_secrets(uri))),
        Target::Method(_) | Target::Plain(_) => None,
    };
    let policies = decision.policies.join(",");
    let policies = (!policies.is_empty()).then_some(&policies);
    let why = match &decision.error {
        Some(error) => format!(": {error}"),
        None => " by policy".to_owned(),
    };
    info!(agent = &principal, method = &method, name = name.as_ref(), policies = policies;
        "refused{why}");
}

/// Logs the state that an approval of `principal` has entered.
pub fn approval(view: &View, principal: &str) {
    let event = match view.state {
        State::Pending => "requested",
        State::Approved => "granted",
        State::Rejected => "denied",
        State::Expired => "expired",
        State::Cancelled => "cancelled by the agent",
        State::Unavailable => "unavailable: approvers could not be asked",
        State::Executing => "used: its call is made",
        State::Done => "done: its call was answered",
        State::Failed => "failed: its call failed, or may not have run",
    };
    info!(approval = &view.id, agent = &principal, tool = &view.tool,
        decided_by = view.decided_by.as_ref(), reason = view.reason.as_ref(); "approval {event}");
}

/// Logs what becomes of the result of an approved call that its client has not got.
pub fn result(approval: Id, agent: &str, tool: &str, event: &str) {
    info!(approval = &approval, agent = &agent, tool = &tool; "result of an approved call {event}");
}

/// Logs the number of refusals that had no line, if there are any; at the end of the process too.
pub fn log_suppressed() {
    let suppressed = REFUSALS.take_suppressed();
    if suppressed > 0 {
        info!(suppressed = suppressed; "{suppressed} more requests were refused");
    }
}

fn admits() -> bool {
    if !is_logged(Level::Info) {
        return false;
    }
    let admits = REFUSALS.admit();
    if !admits
        && REFUSALS.suppress()
        && let Ok(runtime) = Handle::try_current()
    {
        runtime.spawn(async {
            tokio::time::sleep(INTERVAL).await;
            log_suppressed();
        });
    }
    admits
}
