//! Asks approvers in Slack and collects their votes. Only this file and its submodules know Slack's
//! API; the rest of the crate knows a channel that can be asked, and lanes that can be woken.
//!
//! Each channel has a lane of three workers: one posts messages, one polls reactions, one updates
//! messages. A channel without requests has no lane, workers sleep while nothing is open, and a lane
//! that Slack slows down delays no other lane and no request.

mod answers;
mod check;
mod client;
mod codes;
mod confirm;
mod directory;
mod error;
mod faults;
mod ids;
mod interactivity;
mod judge;
mod message;
mod pages;
mod poll;
mod post;
mod press;
mod reaction;
mod scopes;
mod settings;
mod update;
mod workspace;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use crate::ids::Id;
use crate::state::State;

pub use check::Finding;
pub(crate) use check::check_once;
pub(crate) use client::Client;
pub use error::{ConfirmError, SettingsError};
use interactivity::verify_and_parse;
pub use interactivity::{Interaction, InteractionError};
pub use press::InteractionOutcome;
pub use scopes::{SLACK_SCOPES, Scope};
pub use settings::SlackSettings;
pub(crate) use workspace::Workspace;

impl Workspace {
    /// Starts a lane for every channel in which the previous process left something to do.
    pub(crate) fn resume(self: &Arc<Self>) {
        let mut channels = BTreeSet::new();
        for record in self.ledger.table().records() {
            // Finding the id by its name would take calls, and the permission to list channels.
            if let Some(message) = &record.message {
                self.directory.learn(&record.channel, &message.channel);
            }
            // Ended approvals count too while their message shows an earlier state.
            let is_read = matches!(record.state, State::Pending | State::Approved);
            if is_read || record.is_stale() {
                channels.insert(record.channel.clone());
            }
        }
        for channel in channels {
            self.ask(&channel);
        }
    }

    /// Checks token, scopes and channel in the background.
    pub(crate) fn watch(self: &Arc<Self>) {
        self.spawn(check::watch(Arc::clone(self)));
    }

    /// Wakes the lane of `channel` to post a new request; starts the lane if there is none.
    pub(crate) fn ask(self: &Arc<Self>, channel: &str) {
        let Some(lane) = self.ledger.lanes.enter(channel) else {
            return;
        };
        self.spawn(post::run(Arc::clone(self), Arc::clone(&lane)));
        self.spawn(poll::run(Arc::clone(self), Arc::clone(&lane)));
        self.spawn(update::run(Arc::clone(self), lane));
    }

    /// Runs `work` until the approvals are closed; it may be dropped at any of its awaits.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut closed = self.ledger.closed.subscribe();
        self.runtime.spawn(async move {
            tokio::select! {
                () = work => {}
                _ = closed.wait_for(|closed| *closed) => {}
            }
        });
    }

    /// Reads the votes again unless they are fresh.
    pub(crate) async fn confirm(&self, id: Id) -> Result<(), ConfirmError> {
        confirm::confirm(self, id).await
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

    pub(crate) async fn interact(&self, interaction: Interaction) -> InteractionOutcome {
        press::act(self, interaction).await
    }
}
