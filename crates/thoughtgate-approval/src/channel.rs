//! The kinds of channels in which approvers can be asked, with one arm for each: settings, what is
//! checked before the store is opened, and the open channel. Knows no API of any of them.

use std::sync::Arc;
use std::time::SystemTime;

use crate::counters::Counts;
use crate::error::OpenError;
use crate::ids::Id;
use crate::ledger::Ledger;
use crate::record::Record;
use crate::slack::{
    Client, ConfirmError, Finding, Interaction, InteractionError, InteractionOutcome,
    SlackSettings, Workspace, check_once,
};

/// Settings of the channel in which approvers are asked.
#[derive(Debug, Clone)]
pub enum ChannelSettings {
    /// Slack: messages with reactions, and buttons if a signing secret is set.
    Slack(SlackSettings),
}

impl ChannelSettings {
    /// Checks all settings without opening anything; the error describes the first fault.
    pub fn check(&self) -> Result<(), OpenError> {
        match self {
            Self::Slack(settings) => Ok(settings.check()?),
        }
    }

    /// Asks the channel itself whether approvals can work with these settings: whether the token is
    /// valid, has the scopes that it needs, and can read the channel and those that policies name, `named`.
    /// Makes a few calls and asks nobody.
    ///
    /// # Errors
    /// When a setting is invalid, or TLS cannot be set up. Faults of the channel are findings.
    pub async fn check_online(&self, named: &[&str]) -> Result<Vec<Finding>, OpenError> {
        self.check()?;
        match self {
            Self::Slack(settings) => check_once(settings, named).await,
        }
    }

    /// Checks the settings and sets up TLS if the address needs it; makes no call.
    pub(crate) fn prepare(self, counts: Arc<Counts>) -> Result<Prepared, OpenError> {
        self.check()?;
        match self {
            Self::Slack(settings) => {
                let client = Client::new(&settings, counts, true)?;
                Ok(Prepared::Slack(client, settings))
            }
        }
    }
}

/// A channel that is ready to be opened, once there is a ledger.
pub(crate) enum Prepared {
    Slack(Client, SlackSettings),
}

impl Prepared {
    /// Must be called on the runtime that is to run the workers.
    pub(crate) fn open(self, ledger: Arc<Ledger>) -> Channel {
        match self {
            Self::Slack(client, settings) => {
                Channel::Slack(Workspace::new(client, settings, ledger))
            }
        }
    }
}

/// The channel in which approvers are asked, and which collects their votes. Clones share it.
#[derive(Clone)]
pub(crate) enum Channel {
    Slack(Arc<Workspace>),
}

impl Channel {
    /// Goes on with what the previous process left to do.
    pub(crate) fn resume(&self) {
        match self {
            Self::Slack(workspace) => workspace.resume(),
        }
    }

    /// Asks about a new request, in the background; `name` is the channel that the request names.
    pub(crate) fn ask(&self, name: &str) {
        match self {
            Self::Slack(workspace) => workspace.ask(name),
        }
    }

    /// Name of the channel to ask in when the policy names none.
    pub(crate) fn default_name(&self) -> &str {
        match self {
            Self::Slack(workspace) => workspace.default_channel(),
        }
    }

    /// Whether `record` asks in the channel of that name; `None` is the default channel.
    pub(crate) fn is_asked_in(&self, record: &Record, name: Option<&str>) -> bool {
        let name = name.unwrap_or(self.default_name());
        match self {
            Self::Slack(workspace) => workspace.is_same_channel(&record.channel, name),
        }
    }

    /// Checks in the background whether approvers can be asked, at once and again after faults.
    pub(crate) fn watch(&self) {
        match self {
            Self::Slack(workspace) => workspace.watch(),
        }
    }

    /// The present fault of the channel, if there is one.
    pub(crate) fn failure(&self) -> Option<String> {
        match self {
            Self::Slack(workspace) => workspace.failure(),
        }
    }

    /// Reads the votes again unless they are fresh.
    pub(crate) async fn confirm(&self, id: Id) -> Result<(), ConfirmError> {
        match self {
            Self::Slack(workspace) => workspace.confirm(id).await,
        }
    }

    pub(crate) fn verify<'h>(
        &self,
        header: impl Fn(&str) -> Option<&'h str>,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Interaction, InteractionError> {
        match self {
            Self::Slack(workspace) => workspace.verify(header, body, now),
        }
    }

    pub(crate) async fn interact(&self, interaction: Interaction) -> InteractionOutcome {
        match self {
            Self::Slack(workspace) => workspace.interact(interaction).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn debug_output_never_shows_a_secret() {
        let mut slack = SlackSettings::new(Secret::new("xoxb-do-not-print"), "C0123456789");
        slack.signing_secret = Some(Secret::new("do-not-print"));
        slack.base_url = "https://user:do-not-print@slack.example/api".to_owned();
        let settings = ChannelSettings::Slack(slack);
        assert!(!format!("{settings:?}").contains("do-not-print"));
    }
}
