//! Posting requests: once, whatever Slack does, and without delaying other calls.

use std::time::Duration;

use http::StatusCode;
use thoughtgate_approval::{Approvals, Call, OpenError, State};
use thoughtgate_test::mock_slack::Fault;

use crate::support::{
    AGENT, APPROVER, LIMITED, LIMITED_IN_BODY, Slack, UNAVAILABLE, call, decision, eventually,
    open, request, settings, try_open, view,
};

/// Asks while Slack fails like this, and expects one message that can be decided.
async fn survives(faults: Vec<Fault>) -> (Slack, Approvals) {
    let slack = Slack::start();
    slack.fail("chat.postMessage", faults.clone());
    let approvals = open(&settings(&slack)).await;
    let id = request(&approvals, "tool").await;
    slack.react_to(id, &[(APPROVER, "+1")]).await;
    assert_eq!(
        decision(&approvals, id).await.state,
        State::Approved,
        "{faults:?}"
    );
    assert_eq!(slack.messages_about(id).len(), 1, "{faults:?}");
    (slack, approvals)
}

#[tokio::test]
async fn a_rate_limit_is_waited_for() {
    let (slack, approvals) = survives(vec![LIMITED, LIMITED_IN_BODY]).await;
    assert_eq!(slack.calls("chat.postMessage"), 3);
    assert_eq!(approvals.counters().call_limited, 2);
}

#[tokio::test]
async fn a_lost_response_is_no_reason_to_ask_twice() {
    let (slack, approvals) = survives(vec![Fault::CloseAfterEffect]).await;
    assert_eq!(slack.calls("chat.postMessage"), 1);
    assert_eq!(approvals.counters().found_posted, 1);
}

#[tokio::test]
async fn a_timeout_is_no_reason_to_ask_twice() {
    let (slack, _) = survives(vec![Fault::HangAfterEffect]).await;
    assert_eq!(slack.calls("chat.postMessage"), 1);
}

#[tokio::test]
async fn a_server_error_is_tried_again_unless_it_worked() {
    let (slack, _) = survives(vec![UNAVAILABLE, UNAVAILABLE]).await;
    assert_eq!(slack.calls("chat.postMessage"), 3);
    let (slack, _) = survives(vec![
        UNAVAILABLE,
        Fault::ServerErrorAfterEffect(StatusCode::INTERNAL_SERVER_ERROR),
    ])
    .await;
    assert_eq!(slack.calls("chat.postMessage"), 2);
}

#[tokio::test]
async fn the_search_survives_failures_of_its_own() {
    let slack = Slack::start();
    slack.fail("chat.postMessage", [Fault::CloseAfterEffect]);
    slack.fail("conversations.history", [UNAVAILABLE, LIMITED]);
    let approvals = open(&settings(&slack)).await;
    let id = request(&approvals, "tool").await;
    slack.react_to(id, &[(APPROVER, "+1")]).await;
    decision(&approvals, id).await;
    assert_eq!(slack.messages_about(id).len(), 1);
}

#[tokio::test]
async fn the_search_finds_a_channel_by_its_name() {
    let slack = Slack::start();
    slack.fail("chat.postMessage", [Fault::CloseAfterEffect]);
    let approvals = open(&settings(&slack)).await;
    let named = Call {
        channel: Some("#named"),
        ..call("tool")
    };
    let id = approvals.request(named).await.unwrap();
    slack.react_to(id, &[(APPROVER, "+1")]).await;
    decision(&approvals, id).await;
    assert_eq!(slack.messages_about(id).len(), 1);
    assert_eq!(slack.calls("conversations.list"), 1);
}

#[tokio::test]
async fn a_refusal_is_told_to_the_agent_at_once() {
    let slack = Slack::start();
    slack.fail(
        "chat.postMessage",
        [Fault::Refused("channel_not_found".to_owned())],
    );
    let approvals = open(&settings(&slack)).await;
    let id = request(&approvals, "tool").await;
    let view = decision(&approvals, id).await;
    assert_eq!(view.state, State::Unavailable);
    assert!(
        view.explain().contains("channel_not_found"),
        "{}",
        view.explain()
    );
    assert!(
        approvals
            .health()
            .approvers
            .is_some_and(|why| why.contains("channel_not_found"))
    );
}

#[tokio::test]
async fn a_stuck_channel_holds_up_no_request_and_no_other_channel() {
    let slack = Slack::start();
    slack.turn(|knobs| knobs.stuck_channel = Some("C0STUCK".to_owned()));
    let approvals = open(&settings(&slack)).await;
    let stuck = Call {
        channel: Some("C0STUCK"),
        ..call("stuck")
    };
    let stuck = approvals.request(stuck).await.unwrap();
    eventually("it hangs", || slack.calls("chat.postMessage") == 1).await;
    let id = request(&approvals, "tool").await;
    slack.react_to(id, &[(APPROVER, "+1")]).await;
    assert_eq!(decision(&approvals, id).await.state, State::Approved);
    assert_eq!(view(&approvals, stuck).state, State::Pending);
}

#[tokio::test]
async fn what_is_cancelled_before_it_is_asked_is_not_asked() {
    let slack = Slack::start();
    slack.fail("chat.postMessage", [LIMITED]);
    let approvals = open(&settings(&slack)).await;
    let id = request(&approvals, "tool").await;
    eventually("the first attempt failed", || {
        slack.calls("chat.postMessage") == 1
    })
    .await;
    approvals.cancel(id, AGENT);
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(slack.messages_about(id).is_empty());
}

#[tokio::test]
async fn an_unreachable_slack_shows_and_ends_with_the_approval() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.slack.base_url = "http://127.0.0.1:1/api".to_owned();
    settings.timeout = Duration::from_millis(300);
    let approvals = open(&settings).await;
    let id = request(&approvals, "tool").await;
    let view = decision(&approvals, id).await;
    assert_eq!(view.state, State::Expired);
    let text = view.explain();
    assert!(
        text.contains("could not be asked: Slack cannot be reached"),
        "{text}"
    );
    let health = approvals.health();
    assert!(
        health
            .approvers
            .is_some_and(|why| why.contains("cannot be reached"))
    );
}

/// The double has no TLS, so the handshake must fail, and no token may go out in clear text.
#[tokio::test]
async fn an_https_address_is_spoken_to_in_tls_alone() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.slack.base_url = slack.url().replace("http://", "https://");
    let approvals = match try_open(&settings).await {
        Ok(approvals) => approvals,
        // A machine without root certificates cannot go on, and says so.
        Err(error) => return assert!(matches!(error, OpenError::Tls { .. }), "{error}"),
    };
    request(&approvals, "tool").await;
    eventually("it fails", || {
        approvals
            .health()
            .approvers
            .is_some_and(|why| why.contains("cannot be reached"))
    })
    .await;
    assert_eq!(slack.stats().total_calls, 0);
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let slack = Slack::start();
    let good = settings(&slack);
    let mut nobody = good.clone();
    nobody.slack.approvers.clear();
    let mut name = good.clone();
    name.slack.approvers = vec!["@alice".to_owned()];
    let mut both = good.clone();
    both.slack.deny_reactions.push("+1".to_owned());
    let mut alias = good.clone();
    alias.slack.deny_reactions.push("thumbsup".to_owned());
    let mut colons = good.clone();
    colons.slack.approve_reactions = vec![":white_check_mark:".to_owned()];
    let mut emoji = good.clone();
    emoji.slack.deny_reactions = vec!["❌".to_owned()];
    let mut channel = good.clone();
    channel.slack.channel = "#Approvals".to_owned();
    let mut url = good.clone();
    url.slack.base_url = "slack.com/api".to_owned();
    let mut token = good;
    token.slack.token = thoughtgate_approval::Secret::new(" ");
    for (settings, names) in [
        (nobody, "nobody"),
        (name, "approver 1 of 1"),
        (both, "both approve and deny"),
        (alias, "both approve and deny"),
        (colons, "reaction 1 of 1 "),
        (emoji, "reaction 1 of 1 "),
        (channel, "an id (C…) or a name"),
        (url, "https://"),
        (token, "token"),
    ] {
        let error = try_open(&settings).await.unwrap_err();
        assert!(
            matches!(&error, OpenError::Settings(why) if why.to_string().contains(names)),
            "{error}"
        );
    }
}
