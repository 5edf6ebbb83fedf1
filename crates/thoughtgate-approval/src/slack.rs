//! Asks approvers in Slack, and hears what they say. The only file, with its submodules, that names
//! Slack; the rest of the crate knows a desk that can be asked and woken.
//!
//! Each channel has a lane of three workers: one posts, one reads reactions, one brings messages up
//! to date. None of them runs for a channel that nothing was asked in, none of them does anything
//! while nothing is pending, and a lane that Slack slows down slows no other, and no request.

mod answers;
mod client;
mod confirm;
mod directory;
mod interactivity;
mod judge;
mod message;
mod poll;
mod post;
mod update;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use thoughtgate_panic::lock;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::core::Core;
use crate::counters::Counts;
use crate::error::OpenError;
use crate::ids::Id;
use crate::record::{Record, State};
use crate::settings::Secret;

use interactivity::verify_and_parse;
pub use interactivity::{Interaction, InteractionError, InteractionOutcome};

/// How Slack is reached, and who may approve there.
#[derive(Clone)]
pub struct SlackSettings {
    /// The bot token. Its scopes: `chat:write`, `reactions:read`, `channels:history` (and
    /// `groups:history` for private channels); `channels:read` to name channels by name,
    /// `usergroups:read` for user groups.
    pub token: Secret,
    /// Where the API is; TLS is set up only when this starts with `https://`.
    pub base_url: String,
    /// The channel to ask in when the policy names none: an id, or a name such as `#approvals`.
    pub channel: String,
    /// Who may decide: ids of users (`U…`, `W…`) and of user groups (`S…`).
    pub approvers: Vec<String>,
    /// Names of reactions that approve.
    pub approve_reactions: Vec<String>,
    /// Names of reactions that deny; one of them outweighs any number of the others.
    pub deny_reactions: Vec<String>,
    /// How often a channel with pending approvals is read.
    pub poll_interval: Duration,
    /// Least time between two messages in one channel.
    pub post_interval: Duration,
    /// Deadline of each call.
    pub call_timeout: Duration,
    /// The first wait after a failed call; the next ones double, up to a minute.
    pub retry_first: Duration,
    /// Adds buttons to the messages, and checks what comes back from them.
    pub signing_secret: Option<Secret>,
}

impl std::fmt::Debug for SlackSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address may hold a password until it is checked.
        f.debug_struct("SlackSettings")
            .field("channel", &self.channel)
            .field("approvers", &self.approvers)
            .field("poll_interval", &self.poll_interval)
            .finish_non_exhaustive()
    }
}

impl SlackSettings {
    /// Defaults for everything but the token and the channel. Approvers have to be named before
    /// this is accepted.
    #[must_use]
    pub fn new(token: Secret, channel: impl Into<String>) -> Self {
        let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
        Self {
            token,
            base_url: "https://slack.com/api".to_owned(),
            channel: channel.into(),
            approvers: Vec::new(),
            approve_reactions: names(["white_check_mark", "+1"]),
            deny_reactions: names(["x", "-1"]),
            poll_interval: Duration::from_secs(2),
            post_interval: Duration::from_secs(1),
            call_timeout: Duration::from_secs(10),
            retry_first: Duration::from_secs(1),
            signing_secret: None,
        }
    }

    /// Says what makes no sense, before anything is opened.
    pub fn check(&self) -> Result<(), OpenError> {
        let wrong = |what: &str| Err(OpenError::Settings(what.to_owned()));
        if self.token.expose().trim().is_empty() {
            return wrong("the Slack token is empty");
        }
        if self.channel.trim().is_empty() {
            return wrong("no Slack channel is named; give the id of one, such as C0123456789");
        }
        if self.approvers.is_empty() {
            return wrong("nobody may approve; list ids of Slack users (U…) or user groups (S…)");
        }
        // Errors leave values out: a token may have been put in the wrong place.
        if let Some(odd) = self
            .approvers
            .iter()
            .position(|id| !directory::is_person_or_group(id))
        {
            return Err(OpenError::Settings(format!(
                "approver {} of {} is not a valid id of a Slack user (U…, W…) or user group (S…)",
                odd + 1,
                self.approvers.len()
            )));
        }
        if self.approve_reactions.is_empty() || self.deny_reactions.is_empty() {
            return wrong("name at least one reaction to approve and one to deny");
        }
        let mut approving = self.approve_reactions.iter();
        if approving.any(|name| self.deny_reactions.contains(name)) {
            return wrong("a reaction cannot both approve and deny");
        }
        if self.poll_interval < Duration::from_millis(10) {
            return wrong("the poll interval is below 10 ms");
        }
        client::check(self)
    }
}

/// The way to the approvers.
pub(crate) struct Desk {
    client: client::Client,
    directory: directory::Directory,
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
    runtime: Handle,
    settings: SlackSettings,
}

/// One channel's workers, as seen by those who wake them.
struct Lane {
    channel: String,
    post: Notify,
    poll: Notify,
    update: Notify,
}

impl Desk {
    /// Checks the settings and sets up TLS if the address needs it; calls nobody. Must be called
    /// on the runtime that the workers shall live on.
    pub(crate) fn new(settings: &SlackSettings, counts: Arc<Counts>) -> Result<Self, OpenError> {
        settings.check()?;
        Ok(Self {
            client: client::Client::new(settings, counts)?,
            directory: directory::Directory::new(&settings.approvers),
            lanes: Mutex::default(),
            runtime: Handle::current(),
            settings: settings.clone(),
        })
    }

    /// Starts a lane for every channel in which a former process left something to do.
    pub(crate) fn resume(core: &Arc<Core>) {
        let mut channels = BTreeSet::new();
        for record in core.book().records() {
            if let Some(message) = &record.message {
                core.desk.directory.learn(&record.channel, &message.channel);
            }
            let is_read = matches!(record.state, State::Pending | State::Approved);
            if is_read || is_stale(record) {
                channels.insert(record.channel.clone());
            }
        }
        for channel in channels {
            Self::ask(core, &channel);
        }
    }

    /// Something new is to be asked in `channel`.
    pub(crate) fn ask(core: &Arc<Core>, channel: &str) {
        let desk = &core.desk;
        let lane = {
            let mut lanes = lock(&desk.lanes);
            if let Some(lane) = lanes.get(channel) {
                lane.post.notify_one();
                return;
            }
            let lane = Arc::new(Lane {
                channel: channel.to_owned(),
                post: Notify::new(),
                poll: Notify::new(),
                update: Notify::new(),
            });
            lanes.insert(channel.to_owned(), Arc::clone(&lane));
            lane
        };
        desk.spawn(core, post::run(Arc::clone(core), Arc::clone(&lane)));
        desk.spawn(core, poll::run(Arc::clone(core), Arc::clone(&lane)));
        desk.spawn(core, update::run(Arc::clone(core), lane));
    }

    /// Lets `work` run until the end of everything; every await in it may be its last.
    fn spawn(&self, core: &Arc<Core>, work: impl Future<Output = ()> + Send + 'static) {
        let mut closed = core.closed.subscribe();
        self.runtime.spawn(async move {
            tokio::select! {
                () = work => {}
                _ = closed.wait_for(|closed| *closed) => {}
            }
        });
    }

    /// Something about an approval in `channel` changed.
    pub(crate) fn wake(&self, channel: &str) {
        let lanes = lock(&self.lanes);
        if let Some(lane) = lanes.get(channel) {
            lane.poll.notify_one();
            lane.update.notify_one();
        }
    }

    /// Why the latest call failed, if it did.
    pub(crate) fn failure(&self) -> Option<String> {
        self.client.failure()
    }

    pub(crate) fn verify<'h>(
        &self,
        header: impl Fn(&str) -> Option<&'h str>,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Interaction, InteractionError> {
        let secret = self
            .settings
            .signing_secret
            .as_ref()
            .ok_or(InteractionError::Disabled)?;
        let named = |name| header(name).ok_or(InteractionError::Signature);
        let timestamp = named("x-slack-request-timestamp")?;
        let signature = named("x-slack-signature")?;
        verify_and_parse(secret, timestamp, signature, body, now)
    }

    /// Says why it cannot be read whether the approval still holds.
    pub(crate) async fn confirm(core: &Arc<Core>, id: Id) -> Result<(), String> {
        confirm::confirm(core, id).await
    }

    pub(crate) async fn interact(core: &Arc<Core>, press: Interaction) -> InteractionOutcome {
        interactivity::act(core, press).await
    }
}

/// Whether the message says something that is no longer so.
fn is_stale(record: &Record) -> bool {
    record.message.is_some() && record.face != Some(record.wanted_face())
}
