//! Callers that go away while they wait, and come back or not.

use std::time::Duration;

use thoughtgate_approval::{Approvals, Call, Caller, Id, State};

use crate::support::{
    AGENT, APPROVER, Setup, Slack, call, decision, digest_of, eventually, filed, open, request,
    request_later, settings, view,
};

/// The call of `tool` by a client that cancels by going away, and its presence.
async fn present(approvals: &Approvals, tool: &str) -> (Id, Caller) {
    let call = Call {
        cancelled_on_drop: true,
        ..call(tool)
    };
    let id = approvals.request(call).await.unwrap();
    (id, approvals.caller(id, true))
}

async fn is_withdrawn(approvals: &Approvals, id: Id) {
    eventually("it is withdrawn", || {
        view(approvals, id).state == State::Cancelled
    })
    .await;
}

/// Waits until the time of grace of a call that is left now has passed.
async fn grace_passes(approvals: &Approvals) {
    let (witness, caller) = present(approvals, "witness").await;
    drop(caller);
    is_withdrawn(approvals, witness).await;
}

fn with_grace(slack: &Slack, grace: Duration) -> Setup {
    let mut settings = settings(slack);
    settings.grace = grace;
    settings
}

const SHORT: Duration = Duration::from_millis(100);
/// Long enough to come back within it on a busy machine.
const AMPLE: Duration = Duration::from_secs(3);
const LONG: Duration = Duration::from_secs(600);

#[tokio::test]
async fn a_request_whose_caller_went_away_is_withdrawn_after_the_grace() {
    let slack = Slack::start();
    let approvals = open(&with_grace(&slack, SHORT)).await;
    let (id, caller) = present(&approvals, "tool").await;
    assert_eq!(approvals.counters().held, 1);
    drop(caller);
    assert_eq!(approvals.counters().held, 0);
    is_withdrawn(&approvals, id).await;
    let told = view(&approvals, id).explain();
    assert!(told.contains("its client went away"), "{told}");
    eventually("the message says so", || {
        slack.text(id).contains("Withdrawn: its client went away")
    })
    .await;
    // A vote comes too late, and the same call asks anew.
    slack.react_to(id, &[(APPROVER, "+1")]).await;
    assert_ne!(present(&approvals, "tool").await.0, id);
}

#[tokio::test]
async fn the_same_call_sent_again_keeps_it() {
    let slack = Slack::start();
    let approvals = open(&with_grace(&slack, AMPLE)).await;
    let (id, caller) = present(&approvals, "tool").await;
    drop(caller);
    let (joined, again) = present(&approvals, "tool").await;
    assert_eq!(joined, id);
    grace_passes(&approvals).await;
    assert_eq!(view(&approvals, id).state, State::Pending);
    drop(again);
    is_withdrawn(&approvals, id).await;
    assert_eq!(slack.messages_about(id).len(), 1);
}

#[tokio::test]
async fn one_of_two_callers_does_not_take_it_from_the_other() {
    let slack = Slack::start();
    let approvals = open(&with_grace(&slack, SHORT)).await;
    let (id, one) = present(&approvals, "tool").await;
    let (_, mut other) = present(&approvals, "tool").await;
    drop(one);
    grace_passes(&approvals).await;
    assert_eq!(view(&approvals, id).state, State::Pending);
    // An answer (a request state to come back with) is no departure.
    other.answered();
    drop(other);
    grace_passes(&approvals).await;
    assert_eq!(view(&approvals, id).state, State::Pending);
}

#[tokio::test]
async fn a_call_that_outlives_its_caller_keeps_it() {
    let slack = Slack::start();
    let approvals = open(&with_grace(&slack, AMPLE)).await;
    // A client that may go away, and one that is answered later: each joins after the other left.
    let (id, caller) = present(&approvals, "session").await;
    drop(caller);
    assert_eq!(request(&approvals, "session").await, id);
    let (task, caller) = present(&approvals, "task").await;
    drop(caller);
    assert_eq!(request_later(&approvals, "task", b"later").await, task);
    drop(present(&approvals, "session").await.1);
    drop(present(&approvals, "task").await.1);
    grace_passes(&approvals).await;
    assert_eq!(view(&approvals, id).state, State::Pending);
    assert_eq!(view(&approvals, task).state, State::Pending);
}

#[tokio::test]
async fn one_that_is_approved_meanwhile_can_be_used_after_the_grace() {
    let slack = Slack::start();
    let approvals = open(&with_grace(&slack, SHORT)).await;
    let (id, caller) = present(&approvals, "tool").await;
    let (_, late) = present(&approvals, "tool").await;
    drop(caller);
    slack.react_to(id, &[(APPROVER, "+1")]).await;
    decision(&approvals, id).await;
    drop(late);
    grace_passes(&approvals).await;
    assert_eq!(view(&approvals, id).state, State::Approved);
    assert_eq!(present(&approvals, "tool").await.0, id);
    let claim = approvals.claim(id, AGENT, &digest_of("tool")).await;
    claim.unwrap().complete(None).await;
}

#[tokio::test]
async fn a_cancellation_needs_no_grace_unless_somebody_else_waits() {
    let slack = Slack::start();
    let approvals = open(&with_grace(&slack, LONG)).await;
    let (id, mut caller) = present(&approvals, "tool").await;
    let (_, mut other) = present(&approvals, "tool").await;
    caller.cancel();
    drop(caller);
    assert_eq!(view(&approvals, id).state, State::Pending);
    other.cancel();
    assert_eq!(view(&approvals, id).state, State::Cancelled);
}

#[tokio::test]
async fn a_restart_does_not_prolong_the_grace() {
    let (_directory, _slack, mut settings) = filed().await;
    settings.grace = SHORT;
    let approvals = open(&settings).await;
    let (id, caller) = present(&approvals, "tool").await;
    drop(caller);
    approvals.close().await;
    settings.grace = LONG;
    let approvals = open(&settings).await;
    is_withdrawn(&approvals, id).await;
}
