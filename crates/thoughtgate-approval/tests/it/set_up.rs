//! A set-up of Slack that cannot work: found before anyone has to be asked, told to whoever waits, and
//! noticed when it is mended.

use std::time::Duration;

use http::StatusCode;
use thoughtgate_approval::{ChannelSettings, Finding, State};
use thoughtgate_test::mock_slack::Fault;

use crate::support::{
    APPROVER, CHANNEL, POLL, Setup, Slack, UNAVAILABLE, approved, decision, eventually, is_healthy,
    open, request, settings, view,
};

const HISTORY: &str = "conversations.history";
const POST: &str = "chat.postMessage";
const EMPTY_PAGE: &str = r#"{"ok":true,"messages":[]}"#;

async fn findings(setup: &Setup, named: &[&str]) -> Vec<Finding> {
    let channel = ChannelSettings::Slack(setup.slack.clone());
    channel.check_online(named).await.expect("a check")
}

/// The problems and warnings among the findings.
async fn faults(setup: &Setup) -> Vec<String> {
    faults_with(setup, &[]).await
}

/// As `faults`, with channels that policies name.
async fn faults_with(setup: &Setup, named: &[&str]) -> Vec<String> {
    let findings = findings(setup, named).await.into_iter();
    let faults = findings.filter_map(|finding| match finding {
        Finding::Fact(_) => None,
        Finding::Warning(text) => Some(format!("warning: {text}")),
        Finding::Problem(text) => Some(text),
    });
    faults.collect()
}

fn grant(slack: &Slack, scopes: &[&str]) {
    let scopes = scopes.iter().map(ToString::to_string).collect();
    slack.turn(|knobs| knobs.scopes = Some(scopes));
}

/// The present fault of the channel; empty if there is none.
fn fault(approvals: &thoughtgate_approval::Approvals) -> String {
    approvals.health().approvers.unwrap_or_default()
}

#[tokio::test]
async fn a_check_of_a_good_set_up_finds_facts_and_posts_nothing() {
    let slack = Slack::start();
    slack.set_group(&[APPROVER]);
    let mut settings = settings(&slack);
    settings.slack.approvers.push("S0OPS".to_owned());
    assert_eq!(faults(&settings).await, [""; 0]);
    assert!(findings(&settings, &[]).await.len() >= 4);
    assert_eq!(slack.calls(POST), 0);
    settings.slack.channel = "#general".to_owned();
    assert_eq!(faults(&settings).await, [""; 0]);
}

#[tokio::test]
async fn a_check_names_what_is_wrong_and_the_way_out() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    let expect = async |settings: &Setup, words: &[&str]| {
        let faults = faults(settings).await;
        assert_eq!(faults.len(), 1, "{faults:?}");
        for word in words {
            assert!(faults[0].contains(word), "{word}: {faults:?}");
        }
    };
    slack.turn(|knobs| knobs.token_error = "token_revoked".to_owned());
    expect(&settings, &["token_revoked", "xoxb-…"]).await;
    slack.turn(|knobs| knobs.token_error.clear());
    grant(&slack, &["chat:write", "channels:history"]);
    expect(
        &settings,
        &["missing_scope", "reactions:read (", "reinstall"],
    )
    .await;
    slack.turn(|knobs| knobs.scopes = None);
    slack.turn(|knobs| knobs.foreign_channels = vec![CHANNEL.to_owned()]);
    expect(&settings, &["not_in_channel", "/invite"]).await;
    slack.turn(|knobs| knobs.unknown_channels = vec![CHANNEL.to_owned()]);
    expect(&settings, &["channel_not_found", "check the id"]).await;
    slack.turn(|knobs| knobs.unknown_channels.clear());
    slack.turn(|knobs| knobs.foreign_channels.clear());
    // As a signing secret that was pasted in the wrong place.
    settings.slack.channel = "0123456789abcdef0123456789abcdef".to_owned();
    expect(&settings, &["was not found", "use its id"]).await;
    assert!(!faults(&settings).await[0].starts_with("warning"));
    assert!(
        !faults(&settings)
            .await
            .concat()
            .contains("0123456789abcdef")
    );
    settings.slack.channel = CHANNEL.to_owned();
    settings.slack.approvers = vec!["S0NOBODY".to_owned()];
    expect(&settings, &["S0NOBODY", "no_such_subteam"]).await;
    settings.slack.base_url = "http://127.0.0.1:1/api".to_owned();
    expect(&settings, &["cannot be reached"]).await;
    for fault in faults(&settings).await {
        assert!(!fault.contains("xoxb-test"), "{fault}");
    }
}

#[tokio::test]
async fn the_channels_that_policies_name_are_checked_with_one_listing() {
    let slack = Slack::start();
    let settings = settings(&slack);
    let named = ["#general", "#no-such-channel", "#nor-this", "C0FOREIGN"];
    slack.turn(|knobs| knobs.foreign_channels = vec!["C0FOREIGN".to_owned()]);
    let found = faults_with(&settings, &named).await;
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("the channel `#no-such-channel` of `@approve` was not found"));
    assert!(found[1].starts_with("the channel `#nor-this` of `@approve` was not found"));
    assert!(
        found[2].contains("`C0FOREIGN`") && found[2].contains("/invite"),
        "{found:?}"
    );
    assert_eq!(slack.calls("conversations.list"), 1);
    assert_eq!(faults_with(&settings, &["#general"]).await, [""; 0]);
}

#[tokio::test]
async fn a_channel_that_cannot_be_looked_up_was_not_checked() {
    let slack = Slack::start();
    let settings = settings(&slack);
    grant(
        &slack,
        &["chat:write", "reactions:read", "channels:history"],
    );
    let found = faults_with(&settings, &["#no-such-channel", "U0APPROVER"]).await;
    assert_eq!(found.len(), 2, "{found:?}");
    for (text, why) in found.iter().zip(["channels:read", "direct message"]) {
        assert!(text.starts_with("warning: the channel `"), "{text}");
        assert!(
            text.contains("was not checked: ") && text.contains(why),
            "{text}"
        );
    }
    slack.turn(|knobs| knobs.scopes = None);
    slack.fail(
        "conversations.list",
        [Fault::TooManyRequests { retry_after_s: 30 }],
    );
    let found = faults_with(&settings, &["#general"]).await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("warning: ") && found[0].contains("rate limited"),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_token_of_a_person_is_warned_of() {
    let slack = Slack::start();
    let of_approver = format!(r#"{{"ok":true,"user_id":"{APPROVER}","team_id":"T0"}}"#);
    slack.fail("auth.test", [Fault::Answer(StatusCode::OK, of_approver)]);
    let faults = faults(&settings(&slack)).await;
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("warning: ") && faults[0].contains("bot token (xoxb-…)"));
}

#[tokio::test]
async fn a_token_in_the_clear_is_warned_of() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.slack.call_timeout = POLL;
    settings.slack.base_url = "http://slack.invalid/api".to_owned();
    let faults = faults(&settings).await;
    assert!(faults[0].contains("unencrypted"), "{faults:?}");
}

#[tokio::test]
async fn a_private_channel_needs_a_scope_of_its_own() {
    let slack = Slack::start();
    slack.turn(|knobs| knobs.private_channels = vec![CHANNEL.to_owned()]);
    grant(
        &slack,
        &["chat:write", "reactions:read", "channels:history"],
    );
    let faults = faults(&settings(&slack)).await;
    assert!(faults[0].contains("needs groups:history"), "{faults:?}");
}

#[tokio::test]
async fn a_missing_scope_shows_before_anyone_is_asked_and_goes_when_it_is_granted() {
    let slack = Slack::start();
    grant(&slack, &["chat:write", "channels:history"]);
    let approvals = open(&settings(&slack)).await;
    approvals.watch_channel();
    eventually("it shows", || fault(&approvals).contains("reactions:read")).await;
    assert_eq!(slack.calls(POST), 0);
    grant(
        &slack,
        &["chat:write", "channels:history", "reactions:read"],
    );
    eventually("it is gone", || is_healthy(&approvals)).await;
}

#[tokio::test]
async fn a_slack_that_is_down_at_the_start_is_checked_again() {
    let slack = Slack::start();
    slack.fail("auth.test", [UNAVAILABLE, Fault::CloseAfterEffect]);
    let approvals = open(&settings(&slack)).await;
    approvals.watch_channel();
    eventually("it is checked", || slack.calls(HISTORY) == 1).await;
    eventually("it is well", || is_healthy(&approvals)).await;
    // A set-up that is well is not checked again.
    tokio::time::sleep(POLL * 5).await;
    assert_eq!((slack.calls("auth.test"), slack.calls(HISTORY)), (3, 1));
}

#[tokio::test]
async fn votes_that_slack_does_not_show_end_the_wait_with_the_reason() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    grant(&slack, &["chat:write", "reactions:read"]);
    let id = request(&approvals, "tool").await;
    let view = decision(&approvals, id).await;
    assert_eq!(view.state, State::Unavailable);
    let text = view.explain();
    for word in [
        "votes cannot be read",
        "missing_scope",
        "channels:history",
        "reinstall",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    assert!(fault(&approvals).starts_with(HISTORY));
    // Nobody is asked in vain.
    let next = request(&approvals, "other").await;
    assert_eq!(decision(&approvals, next).await.state, State::Unavailable);
    assert_eq!(slack.messages().len(), 1);
    slack.turn(|knobs| knobs.scopes = None);
    approved(&approvals, &slack, "third").await;
    assert!(is_healthy(&approvals));
}

#[tokio::test]
async fn a_message_whose_votes_are_refused_ends_alone() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.slack.approvers.push("S0OPS".to_owned());
    let approvals = open(&settings).await;
    // No such group: whether the vote of somebody else counts cannot be known.
    let (one, other) = (
        request(&approvals, "one").await,
        request(&approvals, "other").await,
    );
    slack.react_to(one, &[("U0SOMEBODY", "+1")]).await;
    let view = decision(&approvals, one).await;
    assert_eq!(view.state, State::Unavailable);
    assert!(
        view.explain().contains("no_such_subteam"),
        "{}",
        view.explain()
    );
    slack.react_to(other, &[(APPROVER, "+1")]).await;
    assert_eq!(decision(&approvals, other).await.state, State::Approved);
}

#[tokio::test]
async fn a_message_that_is_read_by_itself_needs_its_scope() {
    let slack = Slack::start();
    grant(&slack, &["chat:write", "channels:history"]);
    let page = Fault::Answer(StatusCode::OK, EMPTY_PAGE.to_owned());
    slack.fail(HISTORY, vec![page; 1000]);
    let approvals = open(&settings(&slack)).await;
    let id = request(&approvals, "tool").await;
    let view = decision(&approvals, id).await;
    assert_eq!(view.state, State::Unavailable);
    assert!(
        view.explain().contains("reactions:read"),
        "{}",
        view.explain()
    );
}

#[tokio::test]
async fn one_call_that_works_does_not_hide_another_that_fails() {
    let slack = Slack::start();
    slack.fail(HISTORY, vec![UNAVAILABLE; 6]);
    let approvals = open(&settings(&slack)).await;
    let id = request(&approvals, "tool").await;
    eventually("it is not read", || fault(&approvals).starts_with(HISTORY)).await;
    request(&approvals, "other").await;
    eventually("it is asked", || approvals.counters().posted == 2).await;
    // Read again by now, or still failing; never hidden by the message that was posted.
    let failing = slack.calls(HISTORY) < 6;
    assert!(!failing || fault(&approvals).starts_with(HISTORY));
    slack.react_to(id, &[(APPROVER, "+1")]).await;
    assert_eq!(decision(&approvals, id).await.state, State::Approved);
    eventually("it is well", || is_healthy(&approvals)).await;
}

#[tokio::test]
async fn rate_limits_show_when_they_go_on() {
    let slack = Slack::start();
    let limit = Fault::TooManyRequests { retry_after_s: 0 };
    slack.fail(POST, [limit.clone()]);
    let mut settings = settings(&slack);
    // A rate limit is no outage, and ends nothing.
    settings.outage = Duration::ZERO;
    let approvals = open(&settings).await;
    approved(&approvals, &slack, "one").await;
    assert!(is_healthy(&approvals));
    slack.fail(POST, vec![limit; 10_000]);
    let id = request(&approvals, "two").await;
    eventually("it shows", || fault(&approvals).contains("rate limited")).await;
    assert_eq!(view(&approvals, id).state, State::Pending);
    // A wait of no time would be a loop.
    let before = slack.calls(POST);
    tokio::time::sleep(POLL * 20).await;
    assert!(slack.calls(POST) <= before + 1);
}

#[tokio::test]
async fn a_message_that_somebody_deleted_is_no_fault_of_the_channel() {
    let slack = Slack::start();
    let approvals = open(&settings(&slack)).await;
    let id = request(&approvals, "tool").await;
    eventually("it is asked", || approvals.counters().posted == 1).await;
    slack.delete_about(id);
    assert_eq!(decision(&approvals, id).await.state, State::Unavailable);
    eventually("the message is given up", || {
        slack.calls("chat.update") == 1
    })
    .await;
    assert!(is_healthy(&approvals), "{}", fault(&approvals));
}

#[tokio::test]
async fn an_approval_that_expires_while_its_votes_cannot_be_read_says_so() {
    let slack = Slack::start();
    let mut settings = settings(&slack);
    settings.timeout = POLL * 20;
    let approvals = open(&settings).await;
    slack.fail(HISTORY, vec![UNAVAILABLE; 1000]);
    let id = request(&approvals, "tool").await;
    let view = decision(&approvals, id).await;
    assert_eq!(
        (view.state, view.decided_by.as_deref()),
        (State::Expired, None)
    );
    let text = view.explain();
    assert!(
        text.contains("in time: the votes cannot be read: "),
        "{text}"
    );
    assert!(text.contains("503"), "{text}");
}
