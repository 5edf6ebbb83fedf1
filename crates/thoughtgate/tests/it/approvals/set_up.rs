//! A set-up of Slack that cannot work: what the log, `/ready` and the agent are told.

use thoughtgate_test::client;
use thoughtgate_test::process::Output;
use tokio::net::TcpListener;

use super::{APPROVER, CHANNEL, Message, Scene, answer, held_call, repeated_call};
use crate::support::{PATIENCE, Proxy, is_permitted, refusal, told};

const FAULT: &str = "WARN thoughtgate: approvers cannot be asked: ";
const OVER: &str = "thoughtgate: approvers can be asked again";
const SHOWN: &str = "approvers cannot be asked; see the log for the reason";

fn line(proxy: &Proxy, part: &str) -> String {
    let line = proxy.process.wait_line(Output::Stderr, part, PATIENCE);
    line.unwrap()
}

fn count(proxy: &Proxy, part: &str) -> usize {
    let lines = proxy.process.output(Output::Stderr);
    lines.iter().filter(|line| line.contains(part)).count()
}

/// Waits until `/ready`, which stays 200, shows a fault of the approvers, or none.
async fn shows(proxy: &Proxy, fault: bool) {
    loop {
        let ready = proxy.ready_is(200).await;
        let check = &ready["checks"]["approvals"];
        assert_eq!(check["ok"], true, "{ready}");
        if fault == (check["approvers"] == SHOWN) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_scope_that_is_missing_is_named_at_the_start_until_it_is_granted() {
    let scene = Scene::new();
    let scopes = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect());
    scene.slack.turn(|knobs| {
        knobs.scopes = scopes(&["chat:write", "channels:history"]);
    });
    let proxy = scene.start();
    let fault = line(&proxy, FAULT);
    for word in ["missing_scope", "reactions:read", "reinstall"] {
        assert!(fault.contains(word), "{word}: {fault}");
    }
    assert!(!fault.contains("chat:write"), "{fault}");
    shows(&proxy, true).await;
    scene.slack.turn(|knobs| knobs.scopes = None);
    line(&proxy, OVER);
    shows(&proxy, false).await;
    assert_eq!((count(&proxy, FAULT), count(&proxy, OVER)), (1, 1));
    assert_eq!(scene.slack.messages(), []);
}

#[tokio::test]
async fn a_bad_token_and_an_unknown_channel_are_named_at_the_start() {
    let token = Scene::new();
    let revoked = "token_revoked".to_owned();
    token.slack.turn(|knobs| knobs.token_error = revoked);
    let channel = Scene::new();
    let unknown = vec![CHANNEL.to_owned()];
    channel.slack.turn(|knobs| knobs.unknown_channels = unknown);
    for (scene, words) in [
        (token, ["auth.test: ", "token_revoked; set the bot token"]),
        (
            channel,
            ["`approval.slack.channel`: ", "channel_not_found; check"],
        ),
    ] {
        let proxy = scene.start();
        let fault = line(&proxy, FAULT);
        for word in words {
            assert!(fault.contains(word), "{word}: {fault}");
        }
        // No value of the configuration.
        assert!(
            !fault.contains("xoxb-test") && !fault.contains(CHANNEL),
            "{fault}"
        );
        shows(&proxy, true).await;
        assert_eq!(count(&proxy, FAULT), 1);
    }
}

/// A Slack that takes connections and never answers.
#[tokio::test]
async fn a_slack_that_hangs_delays_neither_the_start_nor_other_calls() {
    let slack = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/api", slack.local_addr().unwrap());
    let scene = Scene::new()
        .with("APPROVAL_SLACK_BASE_URL", &url)
        .with("APPROVAL_SLACK_TIMEOUT", "1h");
    let proxy = scene.start();
    shows(&proxy, false).await;
    let echo = serde_json::json!({"name": "echo", "arguments": {"message": "hi"}});
    let echo = Message::legacy("tools/call", &echo).send(&proxy).await;
    assert!(is_permitted(&echo.json()), "{}", echo.text());
}

#[tokio::test]
async fn a_bot_that_may_post_and_not_read_ends_the_call_with_the_reason() {
    let scene = Scene::new();
    scene.slack.turn(|knobs| {
        knobs.only_method = Some("conversations.history".to_owned());
        knobs.next_refused = u32::MAX;
        knobs.refusal = "missing_scope".to_owned();
    });
    let proxy = scene.start();
    let end = held_call().end(&proxy).await;
    assert_eq!(refusal(&end)["code"], 50301, "{end}");
    let text = told(&end);
    for word in ["missing_scope", "channels:history", "reinstall"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    shows(&proxy, true).await;
    assert_eq!(count(&proxy, FAULT), 1);
    assert_eq!(scene.calls(), 0);
}

#[tokio::test]
async fn a_fault_that_passes_is_logged_once_when_it_comes_and_once_when_it_goes() {
    let scene = Scene::new();
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    let messages = scene.slack.wait_for_messages(1).await;
    scene.slack.turn(|knobs| {
        knobs.only_method = Some("conversations.history".to_owned());
        knobs.next_server_errors = 4;
    });
    scene
        .slack
        .react(&messages[0].ts, APPROVER, "white_check_mark");
    line(&proxy, FAULT);
    assert!(is_permitted(&answer(&mut held).await));
    line(&proxy, OVER);
    shows(&proxy, false).await;
    assert_eq!((count(&proxy, FAULT), count(&proxy, OVER)), (1, 1));
    let metrics = client::get(&proxy.at("/metrics"), &[]).await.unwrap();
    assert!(
        metrics
            .text()
            .contains("thoughtgate_approvals_call_errors_total 4")
    );
}

#[tokio::test]
async fn a_bot_that_is_removed_from_the_channel_ends_the_calls_and_works_again_when_invited() {
    let scene = Scene::new();
    let proxy = scene.start();
    let mut held = held_call().open(&proxy).await;
    scene.slack.wait_for_messages(1).await;
    let removed = vec![CHANNEL.to_owned()];
    scene.slack.turn(|knobs| knobs.foreign_channels = removed);
    let end = answer(&mut held).await;
    let text = told(&end);
    assert!(text.contains("not_in_channel; invite the app"), "{text}");
    shows(&proxy, true).await;
    scene.slack.turn(|knobs| knobs.foreign_channels.clear());
    // Noticed without a call.
    line(&proxy, OVER);
    shows(&proxy, false).await;
    let mut held = held_call().open(&proxy).await;
    scene.react(2, APPROVER, "thumbsup").await;
    assert!(is_permitted(&answer(&mut held).await));
    assert_eq!((count(&proxy, FAULT), scene.calls()), (1, 1));
}

/// Slack refuses, or fails, every call of `method` from now on.
fn fails(scene: &Scene, method: &str, refusal: Option<&str>) {
    scene.slack.turn(|knobs| {
        knobs.only_method = Some(method.to_owned());
        match refusal {
            Some(code) => {
                knobs.next_refused = u32::MAX;
                code.clone_into(&mut knobs.refusal);
            }
            None => knobs.next_server_errors = u32::MAX,
        }
    });
}

#[tokio::test]
async fn a_token_that_one_method_refuses_is_one_fault_until_that_method_works() {
    let scene = Scene::new();
    fails(&scene, "conversations.history", Some("token_revoked"));
    let proxy = scene.start();
    // Messages are posted and updated meanwhile.
    for agent in ["alice", "bob", "carol"] {
        let end = held_call().of(agent).end(&proxy).await;
        assert!(told(&end).contains("token_revoked"), "{end}");
        let ready = proxy.ready_is(200).await;
        assert_eq!(ready["checks"]["approvals"]["approvers"], SHOWN, "{ready}");
    }
    assert_eq!((count(&proxy, FAULT), count(&proxy, OVER)), (1, 0));
    scene.slack.turn(|knobs| knobs.next_refused = 0);
    line(&proxy, OVER);
    shows(&proxy, false).await;
}

#[tokio::test]
async fn a_user_group_that_cannot_be_read_ends_the_call_before_anybody_votes() {
    let scene = Scene::new().with("APPROVAL_SLACK_APPROVERS", "S0OPS");
    fails(&scene, "usergroups.users.list", Some("missing_scope"));
    let proxy = scene.start();
    let end = held_call().end(&proxy).await;
    assert_eq!(refusal(&end)["code"], 50301, "{end}");
    let text = told(&end);
    for word in ["missing_scope", "usergroups:read", "reinstall"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert_eq!((count(&proxy, FAULT), scene.calls()), (1, 0));
}

#[tokio::test]
async fn an_outage_is_told_to_who_waits_and_ends_the_wait_when_it_lasts() {
    for (method, words) in [
        ("conversations.history", "votes cannot be read"),
        ("chat.postMessage", "approvers could not be asked"),
    ] {
        let scene = Scene::new()
            .with("APPROVAL_HOLD", "400ms")
            .with("APPROVAL_OUTAGE", "1s");
        fails(&scene, method, None);
        let proxy = scene.start();
        let pending = repeated_call().send(&proxy).await.json();
        assert_eq!(refusal(&pending)["code"], 42501, "{pending}");
        let text = told(&pending);
        let parts = ["approval is pending, but ", words, "503", "Send the same"];
        for part in parts {
            assert!(text.contains(part), "{part}: {text}");
        }
        let end = held_call().end(&proxy).await;
        assert_eq!(refusal(&end)["code"], 50301, "{end}");
        let text = told(&end);
        assert!(text.contains(words) && text.contains("503"), "{text}");
        shows(&proxy, true).await;
        assert_eq!((count(&proxy, FAULT), scene.calls()), (1, 0));
    }
}
