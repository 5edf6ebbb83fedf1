//! Checks the configuration's `approval` section and turns it into settings of `thoughtgate-approval`.
//!
//! Reads the files with secrets; opens no store and no connection.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use thoughtgate_approval::{
    ChannelSettings, Redaction, Secret, Settings, SlackSettings, StoreLocation,
};

use crate::config::{Approval, MEMORY, Slack};
use crate::mistakes::Mistakes;

/// Enough for a few approvals; a sixteenth of it is the largest call and the largest result.
const KEPT_BYTES_MIN: usize = 1 << 20;

/// In place of a token or channel that is missing, a text that could be either.
const STAND_IN: &str = "missing";

/// The settings of approvals and of their channel; `None` when no channel is configured.
pub fn settings(approval: &Approval) -> anyhow::Result<Option<(Settings, ChannelSettings)>> {
    if *approval == Approval::default() {
        return Ok(None);
    }
    let mut wrong = Mistakes::default();
    // Settings without a channel would have no effect, while their author takes approvals to be enabled.
    wrong.require(approval.is_configured(), || {
        "`approval` needs `slack.token` or `slack.token_file`, the Slack bot token".to_owned()
    });
    for (name, value) in [
        ("timeout", approval.timeout),
        ("approved_for", approval.approved_for),
        ("keep_alive", approval.keep_alive),
        ("slack.timeout", approval.slack.timeout),
    ] {
        wrong.require(!value.is_zero(), || {
            format!("`approval.{name}` is 0; it must be more than 0")
        });
    }
    wrong.require(approval.kept_bytes >= KEPT_BYTES_MIN, || {
        format!(
            "`approval.kept_bytes` is {}; it must be at least {KEPT_BYTES_MIN}",
            approval.kept_bytes
        )
    });
    let slack = wrong.keep(slack(&approval.slack));
    let slack = wrong.or(slack)?.context("internal error: no channel")?;
    let store = if approval.store == Path::new(MEMORY) {
        StoreLocation::Memory
    } else {
        StoreLocation::File(approval.store.clone())
    };
    let mut settings = Settings::new(store);
    settings.timeout = approval.timeout;
    settings.approved_for = approval.approved_for;
    settings.grace = approval.grace;
    settings.outage = approval.outage;
    settings.retention = approval.retention;
    settings.open_max = approval.open;
    settings.open_per_principal_max = approval.open_per_agent;
    settings.kept_bytes_max = approval.kept_bytes;
    // One agent's share holds at least one call, and a result pushes out only its own agent's.
    let largest = approval.kept_bytes / 16;
    settings.body_bytes_max = settings.body_bytes_max.min(largest);
    settings.result_bytes_max = settings.result_bytes_max.min(largest);
    if let Some(rules) = &approval.redact {
        settings.redaction = Redaction::new(rules);
    }
    Ok(Some((settings, ChannelSettings::Slack(slack))))
}

fn slack(slack: &Slack) -> anyhow::Result<SlackSettings> {
    let mut wrong = Mistakes::default();
    let secret = |name, text: &Option<String>, file: &Option<PathBuf>| {
        secret(name, text.as_deref(), file.as_deref())
    };
    let token = wrong.keep(secret("token", &slack.token, &slack.token_file));
    let signing_secret = secret(
        "signing_secret",
        &slack.signing_secret,
        &slack.signing_secret_file,
    );
    let signing_secret = wrong.keep(signing_secret);
    wrong.require(slack.channel.is_some(), || {
        "`approval.slack` needs `channel`, the id or name of the Slack channel for approval requests"
            .to_owned()
    });
    // What is missing has its mistake; without it, the other settings can still be checked.
    let token = token.flatten().unwrap_or_else(|| Secret::new(STAND_IN));
    let channel = slack.channel.as_deref().unwrap_or(STAND_IN);
    let mut settings = SlackSettings::new(token, channel);
    settings.base_url.clone_from(&slack.base_url);
    settings.approvers.clone_from(&slack.approvers);
    settings
        .approve_reactions
        .clone_from(&slack.approve_reactions);
    settings.deny_reactions.clone_from(&slack.deny_reactions);
    settings.poll_interval = slack.poll_interval;
    settings.post_interval = slack.post_interval;
    settings.call_timeout = slack.timeout;
    settings.signing_secret = signing_secret.flatten();
    for fault in settings.faults() {
        wrong.add(format!("`approval.slack.{}`: {fault}", fault.setting()));
    }
    Ok(wrong.or(settings)?)
}

/// A secret given as text or as a file; white space around it, such as the line's end, is dropped.
fn secret(name: &str, text: Option<&str>, file: Option<&Path>) -> anyhow::Result<Option<Secret>> {
    let text = match (text, file) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => bail!(
            "`approval.slack.{name}` and `approval.slack.{name}_file` are mutually exclusive; keep one"
        ),
        (Some(text), None) => text.to_owned(),
        // The file's name is left out of errors: the secret itself may have been put in its place.
        (None, Some(file)) => std::fs::read_to_string(file).with_context(|| {
            format!("failed to read the file named by `approval.slack.{name}_file`")
        })?,
    };
    let text = text.trim();
    // With an empty signing secret anyone could sign. Empty text is refused with the configuration.
    ensure!(
        !text.is_empty() || file.is_none(),
        "the file named by `approval.slack.{name}_file` is empty; write the secret into it, on one line"
    );
    ensure!(!text.is_empty(), "`approval.slack.{name}` is empty");
    ensure!(
        !text.contains(char::is_whitespace),
        "`approval.slack.{name}` contains spaces or line breaks; it must be the secret alone"
    );
    Ok(Some(Secret::new(text)))
}
