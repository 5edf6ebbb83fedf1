//! A Slack that lies, or another server in its place: its responses are bounded and never believed,
//! the proxy recovers, and the token is sent nowhere else and quoted in no error.

use std::time::Duration;

use http::StatusCode;
use thoughtgate_approval::{ClaimError, Id, State};
use thoughtgate_test::mock_slack::Fault;
use tokio::net::TcpListener;

use crate::support::{
    AGENT, APPROVER, Slack, UNAVAILABLE, approved, decision, digest_of, eventually, is_healthy,
    open, request, settings, view,
};

fn say(body: &str) -> Fault {
    Fault::Answer(StatusCode::OK, body.to_owned())
}

/// Responses that are invalid for every method.
fn nonsense() -> Vec<Fault> {
    vec![
        say("<html>xoxb-test</html>"),
        say(r#"{"ok":"xoxb-test"}"#),
        say("[]"),
        say(r#"{"ok":true,"ok":false}"#),
        say(r#"{"ok":false,"error":"internal_error"}"#),
        say(&"[".repeat(100_000)),
        Fault::Answer(StatusCode::INTERNAL_SERVER_ERROR, "x".repeat(1 << 20)),
        Fault::Drip,
        Fault::Flood,
        Fault::CloseAfterEffect,
    ]
}

/// Responses that are invalid for methods that return messages.
fn misshapen() -> Vec<Fault> {
    vec![
        say(r#"{"ok":true}"#),
        say(r#"{"ok":true,"messages":{"ts":"1.0"}}"#),
        say(r#"{"ok":true,"messages":[{"ts":7}]}"#),
        say(r#"{"ok":true,"messages":[],"response_metadata":{"next_cursor":7}}"#),
    ]
}

#[tokio::test]
async fn reading_outlives_every_answer_and_believes_none() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let id = approved(&approvals, &slack, "tool").await;
    for fault in nonsense().into_iter().chain(misshapen()) {
        let before = slack.calls("conversations.history");
        slack.fail("conversations.history", [fault]);
        eventually("it is read again", || {
            let health = approvals.health().approvers.unwrap_or_default();
            assert!(!health.contains("xoxb") && health.len() < 500, "{health}");
            slack.calls("conversations.history") > before + 1
        })
        .await;
    }
    assert_eq!(view(&approvals, id).state, State::Approved);
    eventually("Slack calls succeed", || is_healthy(&approvals)).await;
    slack.react_to(id, &[(APPROVER, "x")]).await;
    eventually("the denial is read", || {
        view(&approvals, id).state == State::Rejected
    })
    .await;
}

#[tokio::test]
async fn a_message_is_asked_for_until_slack_says_which_it_is() {
    let slack = Slack::start();
    slack.fail(
        "chat.postMessage",
        [
            say(r#"{"ok":true}"#),
            say(r#"{"ok":true,"channel":"<!channel>","ts":"1.0"}"#),
            say(r#"{"ok":true,"channel":"C1","ts":"../../etc"}"#),
        ],
    );
    let approvals = open(&settings(&slack)).await;
    let id = request(&approvals, "tool").await;
    slack.react_to(id, &[(APPROVER, "+1")]).await;
    assert_eq!(decision(&approvals, id).await.state, State::Approved);
    assert_eq!(slack.messages_about(id).len(), 1);
}

#[tokio::test]
async fn endless_pages_and_huge_cursors_end() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let id = request(&approvals, "tool").await;
    eventually("it is asked", || approvals.counters().posted == 1).await;
    let page = |cursor: &str| {
        say(&format!(
            r#"{{"ok":true,"messages":[],"response_metadata":{{"next_cursor":"{cursor}"}}}}"#
        ))
    };
    slack.fail("conversations.history", vec![page("again"); 30]);
    slack.fail("conversations.history", [page(&"x".repeat(100_000))]);
    // A message that no page shows is read by itself.
    slack.react_to(id, &[(APPROVER, "+1")]).await;
    assert_eq!(decision(&approvals, id).await.state, State::Approved);
}

#[tokio::test]
async fn the_token_goes_to_no_redirect_and_into_no_error() {
    let elsewhere = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let to = format!("http://{}/", elsewhere.local_addr().unwrap());
    let slack = Slack::start();
    slack.fail("chat.postMessage", [Fault::Redirect(to.parse().unwrap())]);
    let approvals = open(&settings(&slack)).await;
    let given_up = async |id: Id| decision(&approvals, id).await.explain();
    let redirected = given_up(request(&approvals, "one").await).await;
    assert!(redirected.contains("302"), "{redirected}");
    assert!(redirected.contains("check `approval.slack.base_url`"));
    let followed = tokio::time::timeout(Duration::from_millis(100), elsewhere.accept()).await;
    assert!(followed.is_err());

    let echo = r#"{"ok":false,"error":"bad token xoxb-test","needed":"xoxb-test"}"#;
    slack.fail("chat.postMessage", [say(echo)]);
    let echoed = given_up(request(&approvals, "two").await).await;
    assert!(echoed.contains("Slack refused") && !echoed.contains("xoxb"));
    let health = approvals.health().approvers.unwrap_or_default();
    assert!(!health.contains("xoxb"), "{health}");
}

#[tokio::test]
async fn an_answer_about_another_message_confirms_nothing() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.slack.poll_interval = Duration::from_millis(10);
    let approvals = open(&settings).await;
    let id = approved(&approvals, &slack, "tool").await;
    // Neither polls nor the reading before the claim say anything about this message.
    slack.fail("conversations.history", vec![UNAVAILABLE; 1000]);
    let other = r#"{"ok":true,"message":{"ts":"1.0","reactions":[]}}"#;
    slack.fail("reactions.get", vec![say(other); 1000]);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let claim = approvals.claim(id, AGENT, &digest_of("tool")).await;
    assert!(matches!(claim, Err(ClaimError::Unconfirmed(_))));
    assert_eq!(view(&approvals, id).state, State::Approved);
}
