//! Helpers that most tests share: settings with short waits, calls, the Slack double by approval, and
//! waiting for conditions.

use std::fmt::Write as _;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::StatusCode;
use ring::hmac;
use serde_json::value::RawValue;
use tempfile::TempDir;
use thoughtgate_approval::{
    Approvals, Call, ChannelSettings, Digest, Health, Id, Interaction, InteractionError, OpenError,
    Secret, Settings, SlackSettings, State, StoreLocation, View, digest,
};
use thoughtgate_test::mock_slack::{self, Config, Fault, Message, MockSlack};

pub(crate) const AGENT: &str = "agent-7";
pub(crate) const CHANNEL: &str = "C0APPROVALS";
pub(crate) const APPROVER: &str = "U0ALICE";
/// User id of the bot of the double.
pub(crate) const BOT_USER: &str = "U0BOT";
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// A rate limit, which says for how long.
pub(crate) const LIMITED: Fault = Fault::TooManyRequests { retry_after_s: 1 };
/// The same, reported with status 200.
pub(crate) const LIMITED_IN_BODY: Fault = Fault::Ratelimited {
    retry_after_s: Some(1),
};
/// A server error of a call that had no effect.
pub(crate) const UNAVAILABLE: Fault = Fault::ServerError(StatusCode::SERVICE_UNAVAILABLE);

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Settings of the approvals, and of the Slack in which they are asked.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) ledger: Settings,
    pub(crate) slack: SlackSettings,
}

impl Deref for Setup {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.ledger
    }
}

impl DerefMut for Setup {
    fn deref_mut(&mut self) -> &mut Settings {
        &mut self.ledger
    }
}

/// The Slack double, whose messages are found by the approval that they ask for.
pub(crate) struct Slack(MockSlack);

impl Deref for Slack {
    type Target = MockSlack;

    fn deref(&self) -> &MockSlack {
        &self.0
    }
}

impl Slack {
    pub(crate) fn start() -> Self {
        let config = Config {
            bot_user: BOT_USER.to_owned(),
            ..Config::default()
        };
        Self(mock_slack::spawn(config).expect("the double starts"))
    }

    /// The messages about an approval: more than one is a bug.
    pub(crate) fn messages_about(&self, id: Id) -> Vec<Message> {
        let id = id.to_string();
        let mut messages = self.messages();
        messages.retain(|message| {
            message.posted.metadata["event_payload"]["approval_id"] == id.as_str()
        });
        messages
    }

    /// The whole text of the one message about an approval.
    pub(crate) fn text(&self, id: Id) -> String {
        let messages = self.messages_about(id);
        let message = messages.first();
        message.map_or_else(String::new, |message| message.content().blocks.to_string())
    }

    /// Waits for the message about an approval, then adds reactions to it, all at once.
    pub(crate) async fn react_to(&self, id: Id, reactions: &[(&str, &str)]) {
        eventually("approvers are asked", || {
            !self.messages_about(id).is_empty()
        })
        .await;
        for message in self.messages_about(id) {
            self.react_at_once(&message.ts, reactions);
        }
    }

    /// Removes every reaction of `user` from the message about an approval.
    pub(crate) fn unreact_all(&self, id: Id, user: &str) {
        for message in self.messages_about(id) {
            let mut reactions = message.reactions;
            reactions.retain(|reaction| reaction.users.iter().any(|given| given == user));
            for reaction in reactions {
                self.unreact(&message.ts, user, &reaction.name);
            }
        }
    }

    pub(crate) fn delete_about(&self, id: Id) {
        for message in self.messages_about(id) {
            self.delete(&message.ts);
        }
    }

    /// Members of the group `S0OPS` from now on.
    pub(crate) fn set_group(&self, users: &[&str]) {
        let users = users.iter().map(ToString::to_string).collect();
        self.turn(|knobs| drop(knobs.usergroups.insert("S0OPS".to_owned(), users)));
    }
}

pub(crate) fn settings(slack: &Slack) -> Setup {
    let mut to = SlackSettings::new(Secret::new("xoxb-test"), CHANNEL);
    to.base_url = slack.url();
    to.approvers = vec![APPROVER.to_owned()];
    to.poll_interval = POLL;
    to.post_interval = Duration::from_millis(1);
    to.retry_first = Duration::from_millis(10);
    to.call_timeout = Duration::from_millis(500);
    Setup {
        ledger: Settings::new(StoreLocation::Memory),
        slack: to,
    }
}

pub(crate) fn in_file(mut settings: Setup, directory: &Path) -> Setup {
    settings.store = StoreLocation::File(directory.join("approvals.redb"));
    settings
}

/// A Slack, and settings that keep approvals in a file of the folder.
pub(crate) async fn filed() -> (TempDir, Slack, Setup) {
    let directory = tempfile::tempdir().unwrap();
    let slack = Slack::start();
    let settings = in_file(settings(&slack), directory.path());
    (directory, slack, settings)
}

pub(crate) async fn open(settings: &Setup) -> Approvals {
    try_open(settings).await.expect("approvals open")
}

pub(crate) async fn try_open(settings: &Setup) -> Result<Approvals, OpenError> {
    let Setup { ledger, slack } = settings.clone();
    Approvals::open(ledger, ChannelSettings::Slack(slack)).await
}

/// Whether neither the store nor the channel has a fault.
pub(crate) fn is_healthy(approvals: &Approvals) -> bool {
    approvals.health() == Health::default()
}

/// The call of `tool` by [`AGENT`], with no arguments.
pub(crate) fn call(tool: &str) -> Call<'_> {
    Call {
        principal: AGENT,
        tool,
        arguments: None,
        channel: None,
        body: None,
        user: None,
        policies: &[],
        generation: 1,
        cancelled_on_drop: false,
    }
}

/// Asks for a call that is answered later, with this body.
pub(crate) async fn request_later(approvals: &Approvals, tool: &str, body: &[u8]) -> Id {
    let call = Call {
        body: Some(body),
        ..call(tool)
    };
    approvals.request(call).await.expect("a request")
}

pub(crate) fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).expect("JSON")
}

pub(crate) fn digest_of(tool: &str) -> Digest {
    digest(AGENT, tool, None)
}

pub(crate) async fn request(approvals: &Approvals, tool: &str) -> Id {
    approvals.request(call(tool)).await.expect("a request")
}

/// Waits for the decision.
pub(crate) async fn decision(approvals: &Approvals, id: Id) -> View {
    let view = approvals
        .wait(id, AGENT, PATIENCE)
        .await
        .expect("an approval");
    assert_ne!(view.state, State::Pending, "no decision came");
    view
}

pub(crate) fn view(approvals: &Approvals, id: Id) -> View {
    approvals.find(id, AGENT).expect("an approval")
}

/// Asks, lets the approver say yes, and waits until that arrived.
pub(crate) async fn approved(approvals: &Approvals, slack: &Slack, tool: &str) -> Id {
    let id = request(approvals, tool).await;
    slack.react_to(id, &[(APPROVER, "+1")]).await;
    assert_eq!(decision(approvals, id).await.state, State::Approved);
    id
}

/// Waits until `holds`, which must become true.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "timed out waiting until {what}");
}

pub(crate) fn policies(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

/// A press of a button, signed as Slack signs it.
pub(crate) fn interaction(
    approvals: &Approvals,
    slack: &Slack,
    id: Id,
    user: &str,
    action: &str,
) -> Result<Interaction, InteractionError> {
    let message = &slack.messages_about(id)[0];
    let payload = serde_json::json!({
        "type": "block_actions",
        "user": {"id": user},
        "container": {"channel_id": message.channel, "message_ts": message.ts},
        "actions": [{"action_id": action, "value": id.to_string()}],
    });
    let body = format!(
        "payload={}",
        payload.to_string().replace('%', "%25").replace('+', "%2B")
    );
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        .to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"signing");
    let tag = hmac::sign(&key, format!("v0:{now}:{body}").as_bytes());
    let mut signature = "v0=".to_owned();
    for byte in tag.as_ref() {
        write!(signature, "{byte:02x}").unwrap();
    }
    let header = |name: &str| match name {
        "x-slack-request-timestamp" => Some(now.as_str()),
        "x-slack-signature" => Some(signature.as_str()),
        _ => None,
    };
    approvals.verify(header, body.as_bytes(), SystemTime::now())
}
