//! State that all workers of one Slack workspace share: its client, the directory of its people and
//! channels, and the ledger that the votes go to. Starts no worker and makes no call by itself.

use std::sync::Arc;

use tokio::runtime::Handle;

use super::client::Client;
use super::directory::Directory;
use super::settings::SlackSettings;
use crate::ledger::Ledger;

/// The Slack workspace in which approvers are asked, shared by the lanes of all its channels.
pub(crate) struct Workspace {
    pub(super) ledger: Arc<Ledger>,
    pub(super) client: Client,
    pub(super) directory: Directory,
    pub(super) settings: SlackSettings,
    /// Runs the workers: an approval may be requested on another runtime.
    pub(super) runtime: Handle,
}

impl Workspace {
    /// Makes no call. Must be called on the runtime that is to run the workers.
    pub(crate) fn new(client: Client, settings: SlackSettings, ledger: Arc<Ledger>) -> Arc<Self> {
        Arc::new(Self {
            ledger,
            client,
            directory: Directory::new(&settings.approvers),
            settings,
            runtime: Handle::current(),
        })
    }

    /// Channel to ask in when the policy names none.
    pub(crate) fn default_channel(&self) -> &str {
        &self.settings.channel
    }

    /// Whether two names are of one channel, as far as that is known.
    pub(crate) fn is_same_channel(&self, one: &str, other: &str) -> bool {
        self.directory.is_same(one, other)
    }

    /// The present fault of the calls to Slack, if there is one.
    pub(crate) fn failure(&self) -> Option<String> {
        self.client.faults.current()
    }
}
