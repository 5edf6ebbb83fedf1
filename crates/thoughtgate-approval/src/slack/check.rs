//! Checks the set-up of Slack before anyone has to be asked: the token, its scopes, the channel and the
//! user groups. One pass for a command, or again and again while something is wrong, so that a mended
//! set-up is noticed. Posts nothing.

use std::sync::Arc;
use std::time::Instant;

use thoughtgate_panic::warn;

use super::client::Client;
use super::directory::{Directory, authenticate, read_members};
use super::error::CallError;
use super::ids::{is_channel_id, is_group, is_person_or_group};
use super::pages::read_one;
use super::scopes::missing;
use super::settings::SlackSettings;
use super::workspace::Workspace;
use crate::backoff::{Backoff, RETRY_MAX};
use crate::cause::chain;
use crate::counters::Counts;
use crate::error::OpenError;

/// Advice for scopes that Slack does not list.
const REINSTALL: &str =
    "add them to the Slack app under OAuth & Permissions, then reinstall the app";

/// One result of a check. Its text quotes no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// As it should be.
    Fact(String),
    /// Some approvals may fail.
    Warning(String),
    /// Approvals fail.
    Problem(String),
}

/// Result of one pass.
#[derive(Default)]
struct Checked {
    findings: Vec<Finding>,
    /// Scopes that are missing, as they are logged.
    missing: Option<String>,
    /// Whether Slack listed the scopes.
    lists_scopes: bool,
    /// Id of the default channel, if it is known.
    channel: Option<String>,
    /// The last call that failed.
    error: Option<CallError>,
}

impl Checked {
    fn fact(&mut self, text: impl Into<String>) {
        self.findings.push(Finding::Fact(text.into()));
    }

    fn warning(&mut self, text: impl Into<String>) {
        self.findings.push(Finding::Warning(text.into()));
    }

    fn problem(&mut self, what: &str, error: CallError) {
        let text = format!("{what}: {}", chain(&error));
        self.findings.push(Finding::Problem(text));
        self.error = Some(error);
    }
}

/// Checks these settings, and the channels that policies name, with one pass of calls.
pub(crate) async fn check_once(
    settings: &SlackSettings,
    of_policies: &[&str],
) -> Result<Vec<Finding>, OpenError> {
    let client = Client::new(settings, Arc::new(Counts::default()), false)?;
    let directory = Directory::new(&settings.approvers);
    let mut checked = Checked::default();
    if check_access(&mut checked, &client, settings).await {
        check_channels(&mut checked, &client, &directory, settings, of_policies).await;
        check_groups(&mut checked, &client, settings).await;
    }
    Ok(checked.findings)
}

/// Checks at once, and again while something is wrong. Runs until it is dropped.
pub(super) async fn watch(workspace: Arc<Workspace>) {
    let settings = &workspace.settings;
    let faults = &workspace.client.faults;
    let mut backoff = Backoff::new(settings.retry_first, RETRY_MAX);
    let mut warned = Vec::new();
    loop {
        let since = Instant::now();
        let checked = pass(&workspace.client, &workspace.directory, settings).await;
        let warnings = checked.findings.into_iter();
        let warnings: Vec<_> = warnings
            .filter(|finding| matches!(finding, Finding::Warning(_)))
            .collect();
        for warning in warnings.iter().filter(|warning| !warned.contains(*warning)) {
            if let Finding::Warning(text) = warning {
                warn!("{text}");
            }
        }
        warned = warnings;
        let is_well = checked.error.is_none() && checked.missing.is_none();
        // Without a list of scopes, what was known of them stays.
        if checked.lists_scopes {
            faults.note_scopes(checked.missing);
        }
        if is_well {
            let named = [Some(settings.channel.as_str()), checked.channel.as_deref()];
            let named: Vec<&str> = named.into_iter().flatten().collect();
            faults.checked(since, &named, checked.lists_scopes);
            if faults.current().is_none() {
                backoff.reset();
            }
            // Nothing to do until a call fails. Each failure is told, also one that is over by now.
            while faults.current().is_none() {
                faults.changed.notified().await;
            }
        }
        let wait = match checked.error {
            Some(CallError::Limited(wait)) => wait,
            // Also after a call that failed, since it is tried again by itself.
            _ => backoff.next(),
        };
        tokio::time::sleep(wait).await;
    }
}

/// One pass of the proxy itself, which asks in the default channel whatever the policies name.
async fn pass(client: &Client, directory: &Directory, settings: &SlackSettings) -> Checked {
    let mut checked = Checked::default();
    if check_access(&mut checked, client, settings).await {
        check_channel(&mut checked, client, directory, settings).await;
        check_groups(&mut checked, client, settings).await;
    }
    checked
}

/// Checks the token and its scopes; whether it can be used at all.
async fn check_access(checked: &mut Checked, client: &Client, settings: &SlackSettings) -> bool {
    if settings.is_in_the_clear() {
        checked.warning(
            "the Slack token is sent unencrypted, since `approval.slack.base_url` begins with http://",
        );
    }
    let (me, scopes) = match authenticate(client).await {
        Ok(answer) => answer,
        Err(error) => {
            checked.problem("the Slack token cannot be used", error);
            return false;
        }
    };
    checked.fact(format!("the Slack token is valid, of user {}", me.user));
    if me.bot.is_none() {
        checked.warning(format!(
            "the Slack token belongs to user {}, whose votes do not count; use the app's bot token (xoxb-…)",
            me.user
        ));
    } else if settings.approvers.contains(&me.user) {
        checked.warning(format!(
            "approver {} is the Slack app itself, whose votes do not count",
            me.user
        ));
    }
    check_scopes(checked, scopes.as_deref(), settings);
    true
}

async fn check_groups(checked: &mut Checked, client: &Client, settings: &SlackSettings) {
    for group in settings.approvers.iter().filter(|id| is_group(id)) {
        match read_members(client, group).await {
            Ok(members) if members.is_empty() => {
                checked.warning(format!(
                    "user group {group} of the approvers has no members"
                ));
            }
            Ok(members) => checked.fact(format!(
                "user group {group} of the approvers has {} members",
                members.len()
            )),
            Err(error) => {
                checked.problem(
                    &format!("the members of user group {group} cannot be read"),
                    error,
                );
            }
        }
    }
}

fn check_scopes(checked: &mut Checked, scopes: Option<&str>, settings: &SlackSettings) {
    let Some(scopes) = scopes else {
        checked.fact("Slack does not list the scopes of the token");
        return;
    };
    checked.lists_scopes = true;
    let (vital, others): (Vec<_>, Vec<_>) = missing(scopes, settings)
        .into_iter()
        .partition(|missing| missing.is_vital);
    for scope in others {
        checked.warning(format!(
            "the Slack token lacks {}; {REINSTALL}, or give the channel by its id",
            scope.text
        ));
    }
    if vital.is_empty() {
        checked.fact("the Slack token has the scopes that approvals need");
        return;
    }
    let names: Vec<String> = vital.into_iter().map(|scope| scope.text).collect();
    let text = format!(
        "missing_scope: the Slack token lacks {}; {REINSTALL}",
        names.join(", ")
    );
    checked.findings.push(Finding::Problem(text.clone()));
    checked.missing = Some(text);
}

async fn check_channel(
    checked: &mut Checked,
    client: &Client,
    directory: &Directory,
    settings: &SlackSettings,
) {
    let name = &settings.channel;
    match directory.channel(client, name).await {
        Ok(id) => {
            if let Err(error) = check_reading(checked, client, "the channel", name, &id).await {
                checked.problem("votes in the channel cannot be read", error);
            }
            checked.channel = Some(id);
        }
        // Posting takes names, and shows the id. Only after a lost answer it has to be looked up.
        Err(error @ CallError::Refused(_)) => {
            checked.warning(format!("`approval.slack.channel`: {}", chain(&error)));
        }
        Err(error) => checked.problem("the channel cannot be looked up", error),
    }
}

/// Checks the default channel and those that policies name.
async fn check_channels(
    checked: &mut Checked,
    client: &Client,
    directory: &Directory,
    settings: &SlackSettings,
    of_policies: &[&str],
) {
    let default = settings.channel.as_str();
    let others = of_policies
        .iter()
        .filter(|name| !directory.is_same(default, name));
    let mut names = vec![default];
    names.extend(others);
    // Direct messages have no name that could be looked up.
    let is_direct = |name: &str| is_person_or_group(name);
    let listed: Vec<&str> = names
        .iter()
        .copied()
        .filter(|name| !is_direct(name))
        .collect();
    let found = directory.find(client, &listed).await;
    for name in names {
        // A secret that was pasted in the place of the channel is not shown; policies are no secrets.
        let label = if name == default {
            "the channel of `approval.slack.channel`".to_owned()
        } else {
            format!("the channel `{name}` of `@approve`")
        };
        match (directory.known_channel(name), &found) {
            (Some(id), _) => match check_reading(checked, client, &label, name, &id).await {
                Ok(()) => {}
                Err(error @ CallError::Limited(_)) => {
                    checked.warning(format!("{label} was not checked: {}", chain(&error)));
                }
                Err(error) => checked.problem(&format!("votes in {label} cannot be read"), error),
            },
            (None, _) if is_direct(name) => {
                checked.warning(format!("{label} was not checked: it is a direct message"));
            }
            (None, Ok(true)) => checked.findings.push(Finding::Problem(format!(
                "{label} was not found; check its name, or use its id (C…), and invite the app if it is private"
            ))),
            (None, Ok(false)) => checked.warning(format!(
                "{label} was not checked: Slack has more channels than are read to find a name; use its id (C…)"
            )),
            (None, Err(error @ (CallError::Refused(_) | CallError::Limited(_)))) => {
                checked.warning(format!("{label} was not checked: {}", chain(error)));
            }
            (None, Err(error)) => {
                checked.problem(&format!("{label} cannot be looked up"), error.clone());
            }
        }
    }
}

/// Reads a message of a channel, as polls do.
async fn check_reading(
    checked: &mut Checked,
    client: &Client,
    label: &str,
    name: &str,
    id: &str,
) -> Result<(), CallError> {
    read_one(client, id).await?;
    checked.fact(if is_channel_id(name) {
        format!("{label} is known and can be read")
    } else {
        format!("{label} is known, as {id}, and can be read")
    });
    Ok(())
}
