//! The Slack double's tokens, scopes and channels: what it refuses, and what its answers say of them.

use serde_json::{Value, json};
use thoughtgate_test::mock_slack::{Fault, Knobs, MockSlack};

use super::{CHANNEL, call, start, try_call};

const POST: &str = "chat.postMessage";
const HISTORY: &str = "conversations.history";

fn scopes(scopes: &[&str]) -> Vec<String> {
    scopes.iter().map(ToString::to_string).collect()
}

fn message() -> Value {
    json!({ "channel": CHANNEL, "text": "x" })
}

async fn error(slack: &MockSlack, method: &str, channel: &str) -> Value {
    let arguments = json!({ "channel": channel, "text": "x" });
    call(slack, method, arguments).await["error"].clone()
}

#[tokio::test]
async fn every_answer_names_the_scopes_of_a_valid_token() {
    let slack = start(Knobs {
        scopes: Some(scopes(&["chat:write", "reactions:read"])),
        ..Knobs::default()
    });
    let response = try_call(&slack, "auth.test", &json!({})).await.unwrap();
    assert_eq!(
        response.header("x-oauth-scopes"),
        Some("chat:write,reactions:read")
    );
    assert_eq!(response.json()["ok"], true);
    let response = try_call(&slack, POST, &message()).await.unwrap();
    assert_eq!(
        response.header("x-accepted-oauth-scopes"),
        Some("chat:write")
    );
    slack.turn(|knobs| knobs.token_error = "token_revoked".to_owned());
    let response = try_call(&slack, "auth.test", &json!({})).await.unwrap();
    assert_eq!(response.json()["error"], "token_revoked");
    assert_eq!(response.header("x-oauth-scopes"), None);
}

#[tokio::test]
async fn a_missing_scope_is_named_with_those_that_there_are() {
    let slack = start(Knobs {
        scopes: Some(scopes(&["reactions:read"])),
        ..Knobs::default()
    });
    let refused = json!({
        "ok": false,
        "error": "missing_scope",
        "needed": "chat:write",
        "provided": "reactions:read",
    });
    assert_eq!(call(&slack, POST, message()).await, refused);
    assert_eq!(slack.messages(), []);
    slack.turn(|knobs| knobs.scopes = None);
    slack.fail(POST, [Fault::Refused("missing_scope".to_owned())]);
    let refused = call(&slack, POST, message()).await;
    assert_eq!(refused["needed"], "chat:write");
    assert_eq!(call(&slack, POST, message()).await["ok"], true);
}

#[tokio::test]
async fn a_history_needs_the_scope_of_its_kind_of_channel() {
    let slack = start(Knobs {
        private_channels: vec!["C0SECRET".to_owned()],
        scopes: Some(scopes(&["chat:write"])),
        ..Knobs::default()
    });
    let needed = async |channel: &str| {
        let answer = call(&slack, HISTORY, json!({ "channel": channel })).await;
        answer["needed"].clone()
    };
    let any = "channels:history,groups:history,mpim:history,im:history";
    assert_eq!(needed(CHANNEL).await, any);
    slack.turn(|knobs| knobs.scopes = Some(scopes(&["channels:history"])));
    assert_eq!(needed(CHANNEL).await, Value::Null);
    assert_eq!(needed("C0SECRET").await, "groups:history");
    assert_eq!(needed("D0DIRECT").await, "im:history");
}

#[tokio::test]
async fn channels_can_be_unknown_to_the_bot_or_without_it() {
    let slack = start(Knobs {
        unknown_channels: vec!["C0GONE".to_owned()],
        foreign_channels: vec!["C0OTHERS".to_owned()],
        ..Knobs::default()
    });
    for method in [POST, HISTORY] {
        assert_eq!(error(&slack, method, "C0GONE").await, "channel_not_found");
        assert_eq!(error(&slack, method, "C0OTHERS").await, "not_in_channel");
        assert_eq!(error(&slack, method, CHANNEL).await, Value::Null);
    }
}
