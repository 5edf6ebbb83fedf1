//! Restarts: they change neither who is asked nor how often, and a call runs at most once.

use std::path::Path;

use thoughtgate_approval::{ClaimError, State, StoreLocation};
use thoughtgate_test::mock_slack::Fault;

use crate::support::{
    AGENT, APPROVER, CHANNEL, LIMITED, Setup, Slack, approved, call, decision, digest_of,
    eventually, filed, open, request, request_later, settings, view,
};

/// The settings for a copy of the store as it is on disk now: what a crash would leave.
fn crashed(settings: &Setup, directory: &Path) -> Setup {
    let StoreLocation::File(from) = &settings.store else {
        panic!("a store in a file");
    };
    let to = directory.join("copy.redb");
    std::fs::copy(from, &to).unwrap();
    let mut crashed = settings.clone();
    crashed.store = StoreLocation::File(to);
    crashed
}

#[tokio::test]
async fn a_pending_approval_goes_on_without_asking_again() {
    let (_directory, slack, settings) = filed().await;
    let approvals = open(&settings).await;
    let id = request(&approvals, "tool").await;
    let state = approvals.seal(id, AGENT, b"").unwrap();
    eventually("it is asked", || approvals.counters().posted == 1).await;
    approvals.close().await;
    slack.react_to(id, &[(APPROVER, "+1")]).await;

    let approvals = open(&settings).await;
    assert_eq!(decision(&approvals, id).await.state, State::Approved);
    assert_eq!(slack.messages_about(id).len(), 1);
    assert_eq!(approvals.unseal(&state, AGENT).unwrap().id, id);
    approvals.close().await;
}

#[tokio::test]
async fn an_approval_that_was_not_asked_yet_is_asked_once() {
    let (_directory, slack, settings) = filed().await;
    slack.fail("chat.postMessage", [LIMITED]);
    let approvals = open(&settings).await;
    let id = request(&approvals, "tool").await;
    eventually("the attempt failed", || {
        slack.calls("chat.postMessage") == 1
    })
    .await;
    approvals.close().await;

    let approvals = open(&settings).await;
    slack.react_to(id, &[(APPROVER, "+1")]).await;
    assert_eq!(decision(&approvals, id).await.state, State::Approved);
    assert_eq!(slack.messages_about(id).len(), 1);
    approvals.close().await;
}

#[tokio::test]
async fn an_approval_that_may_have_been_asked_is_not_asked_again() {
    let (_directory, slack, settings) = filed().await;
    slack.fail("chat.postMessage", [Fault::HangAfterEffect]);
    let approvals = open(&settings).await;
    let id = request(&approvals, "tool").await;
    eventually("Slack has it", || slack.messages_about(id).len() == 1).await;
    approvals.close().await;

    let approvals = open(&settings).await;
    slack.react_to(id, &[(APPROVER, "x")]).await;
    assert_eq!(decision(&approvals, id).await.state, State::Rejected);
    assert_eq!(slack.calls("chat.postMessage"), 1);
    assert_eq!(approvals.counters().found_posted, 1);
    approvals.close().await;
}

#[tokio::test]
async fn a_claim_is_on_disk_before_the_call_can_run() {
    let (directory, slack, settings) = filed().await;
    let approvals = open(&settings).await;
    let id = approved(&approvals, &slack, "tool").await;
    let claim = approvals
        .claim(id, AGENT, &digest_of("tool"))
        .await
        .unwrap();

    let after = open(&crashed(&settings, directory.path())).await;
    assert_eq!(view(&after, id).state, State::Failed);
    assert!(view(&after, id).explain().contains("not repeated"));
    let again = after.claim(id, AGENT, &digest_of("tool")).await.map(drop);
    assert_eq!(again, Err(ClaimError::AlreadyExecuted));
    after.close().await;
    claim.complete(None).await;
    approvals.close().await;
}

#[tokio::test]
async fn a_request_is_on_disk_when_it_is_answered() {
    let (directory, slack, settings) = filed().await;
    slack.turn(|knobs| knobs.stuck_channel = Some(CHANNEL.to_owned()));
    let approvals = open(&settings).await;
    let body = b"the call";
    let id = request_later(&approvals, "tool", body).await;
    let after = open(&crashed(&settings, directory.path())).await;
    assert_eq!(view(&after, id).state, State::Pending);
    assert_eq!(after.kept(id).unwrap().body, body);
    after.close().await;
    approvals.close().await;
}

#[tokio::test]
async fn an_unused_approval_can_be_used_once_afterwards() {
    let (_directory, slack, settings) = filed().await;
    let approvals = open(&settings).await;
    let body = b"the call";
    let id = request_later(&approvals, "tool", body).await;
    slack.react_to(id, &[(APPROVER, "+1")]).await;
    decision(&approvals, id).await;
    approvals.close().await;

    let approvals = open(&settings).await;
    assert_eq!(approvals.ready().recv().await, Some(id));
    let claim = approvals
        .claim(id, AGENT, &digest_of("tool"))
        .await
        .unwrap();
    let kept = approvals.kept(id).unwrap();
    assert_eq!(kept.body, body);
    claim.complete(Some(b"the result".to_vec())).await;
    approvals.close().await;

    let approvals = open(&settings).await;
    assert_eq!(view(&approvals, id).state, State::Done);
    assert_eq!(
        approvals.result(id, AGENT).as_deref(),
        Some(b"the result".as_slice())
    );
    let again = approvals
        .claim(id, AGENT, &digest_of("tool"))
        .await
        .map(drop);
    assert_eq!(again, Err(ClaimError::AlreadyExecuted));
    approvals.close().await;
}

#[tokio::test]
async fn an_outcome_that_was_not_shown_yet_is_shown_afterwards() {
    let (_directory, slack, settings) = filed().await;
    slack.fail("chat.update", [LIMITED]);
    let approvals = open(&settings).await;
    let id = approved(&approvals, &slack, "tool").await;
    eventually("the update failed", || slack.calls("chat.update") == 1).await;
    approvals.close().await;
    let approvals = open(&settings).await;
    eventually("the message shows the outcome", || {
        slack.text(id).contains("Approved by")
    })
    .await;
    approvals.close().await;
}

#[tokio::test]
async fn after_the_close_nothing_is_accepted_or_asked() {
    let (_directory, slack, settings) = filed().await;
    let approvals = open(&settings).await;
    approvals.close().await;
    approvals.close().await;
    let refused = approvals.request(call("tool")).await;
    assert_eq!(refused, Err(thoughtgate_approval::RequestError::Closed));
    assert_eq!(slack.stats().total_calls, 0);
}

#[tokio::test]
async fn a_claim_that_cannot_be_written_down_is_none() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let id = approved(&approvals, &slack, "tool").await;
    approvals.close().await;
    let claim = approvals.claim(id, AGENT, &digest_of("tool")).await;
    assert!(matches!(claim, Err(ClaimError::Store(_))), "{claim:?}");
    assert_eq!(view(&approvals, id).state, State::Failed);
    assert!(
        view(&approvals, id)
            .explain()
            .contains("the call was not made")
    );
}
