//! Polling Slack: only while something is open, in one batch, and to the last message.

use thoughtgate_approval::State;
use thoughtgate_test::mock_slack::Fault;

use crate::support::{
    AGENT, APPROVER, LIMITED, LIMITED_IN_BODY, POLL, Slack, UNAVAILABLE, approved, decision,
    digest_of, eventually, is_healthy, open, request, settings,
};

#[tokio::test]
async fn nothing_is_called_before_somebody_must_be_asked() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    tokio::time::sleep(POLL * 5).await;
    assert_eq!(slack.stats().total_calls, 0);
    drop(approvals);
}

#[tokio::test]
async fn nothing_is_read_while_nothing_is_pending() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let id = approved(&approvals, &slack, "tool").await;
    // An approval that can still be withdrawn is polled like one that is pending.
    let claim = approvals.claim(id, AGENT, &digest_of("tool")).await;
    claim.unwrap().complete(None).await;
    eventually("the message shows the outcome", || {
        slack.text(id).contains("used for the call")
    })
    .await;
    tokio::time::sleep(POLL * 3).await;
    let before = slack.stats().total_calls;
    tokio::time::sleep(POLL * 10).await;
    assert_eq!(slack.stats().total_calls, before);
    // And it wakes up again.
    approved(&approvals, &slack, "other").await;
}

#[tokio::test]
async fn many_pending_approvals_share_one_call() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let mut ids = Vec::new();
    for index in 0..6 {
        ids.push(request(&approvals, &format!("tool-{index}")).await);
    }
    eventually("all are asked", || approvals.counters().posted == 6).await;
    let before = (
        approvals.counters().polls,
        slack.calls("conversations.history"),
    );
    eventually("it is read", || approvals.counters().polls >= before.0 + 10).await;
    for id in &ids {
        slack.react_to(*id, &[(APPROVER, "+1")]).await;
    }
    for id in ids {
        assert_eq!(decision(&approvals, id).await.state, State::Approved);
    }
    let polls = approvals.counters().polls - before.0;
    let calls = slack.calls("conversations.history") - before.1;
    assert!(calls <= polls + 1, "{calls} calls in {polls} polls");
    assert_eq!(slack.calls("reactions.get"), 0);
}

#[tokio::test]
async fn messages_beyond_the_pages_are_read_too() {
    let slack = Slack::start();
    slack.turn(|knobs| knobs.page_size = 1);
    let approvals = open(&settings(&slack)).await;
    let mut ids = Vec::new();
    for index in 0..12 {
        ids.push(request(&approvals, &format!("tool-{index}")).await);
    }
    eventually("all are asked", || approvals.counters().posted == 12).await;
    // The oldest lie furthest back.
    for id in ids.into_iter().take(2) {
        slack.react_to(id, &[(APPROVER, "+1")]).await;
        assert_eq!(decision(&approvals, id).await.state, State::Approved);
    }
    assert!(slack.calls("reactions.get") > 0);
}

#[tokio::test]
async fn a_deleted_message_ends_the_approval() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let id = request(&approvals, "tool").await;
    eventually("it is asked", || approvals.counters().posted == 1).await;
    slack.delete_about(id);
    let view = decision(&approvals, id).await;
    assert_eq!(view.state, State::Unavailable);
    assert!(view.explain().contains("deleted"), "{}", view.explain());
}

#[tokio::test]
async fn failing_reads_are_tried_again() {
    let slack = Slack::start();
    slack.fail(
        "conversations.history",
        [
            UNAVAILABLE,
            LIMITED_IN_BODY,
            Fault::CloseAfterEffect,
            Fault::Refused("missing_scope".to_owned()),
        ],
    );
    let approvals = open(&settings(&slack)).await;
    approved(&approvals, &slack, "tool").await;
    let counters = approvals.counters();
    assert_eq!((counters.call_errors, counters.call_limited), (3, 1));
    assert!(is_healthy(&approvals));
}

#[tokio::test]
async fn failing_updates_are_tried_again() {
    let slack = Slack::start();
    slack.fail(
        "chat.update",
        [UNAVAILABLE, LIMITED, Fault::CloseAfterEffect],
    );
    let approvals = open(&settings(&slack)).await;
    let id = approved(&approvals, &slack, "tool").await;
    eventually("the message shows the outcome", || {
        slack.text(id).contains("Approved by")
    })
    .await;
    eventually("it is updated", || slack.calls("chat.update") == 4).await;
}
