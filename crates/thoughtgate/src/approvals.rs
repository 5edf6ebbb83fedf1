//! Turns the configuration's `approval` into settings of the approvals, and says what is wrong with it.
//!
//! Reads files with secrets; opens no store and speaks to nobody.

use std::path::Path;

use anyhow::{Context, bail, ensure};
use thoughtgate_approval::{Redaction, Secret, Settings, SlackSettings, StoreLocation};

use crate::config::{Approval, MEMORY, Slack};

/// Ample for a few approvals.
const KEPT_BYTES_MIN: usize = 1 << 20;

/// Everything that opening the approvals takes; `None` when no channel is configured.
pub fn settings(approval: &Approval) -> anyhow::Result<Option<Settings>> {
    if !approval.is_configured() {
        ensure!(
            *approval == Approval::default(),
            "`approval` needs `slack.token` or `slack.token_file`, the token of the bot that asks"
        );
        return Ok(None);
    }
    for (name, value) in [
        ("timeout", approval.timeout),
        ("approved_for", approval.approved_for),
        ("keep_alive", approval.keep_alive),
        ("slack.timeout", approval.slack.timeout),
    ] {
        ensure!(
            !value.is_zero(),
            "`approval.{name}` is 0, which would let nothing be approved"
        );
    }
    let store = if approval.store == Path::new(MEMORY) {
        StoreLocation::Memory
    } else {
        StoreLocation::File(approval.store.clone())
    };
    let slack = slack(&approval.slack)?;
    slack.check().context("failed to use `approval.slack`")?;
    let mut settings = Settings::new(store, slack);
    settings.timeout = approval.timeout;
    settings.approved_for = approval.approved_for;
    settings.retention = approval.retention;
    settings.open_max = approval.open;
    settings.open_per_principal_max = approval.open_per_agent;
    ensure!(
        approval.kept_bytes >= KEPT_BYTES_MIN,
        "`approval.kept_bytes` is {}; it must be at least {KEPT_BYTES_MIN}",
        approval.kept_bytes
    );
    settings.kept_bytes_max = approval.kept_bytes;
    // One agent's share holds at least one call, and a result pushes out only its own agent's.
    let largest = approval.kept_bytes / 16;
    settings.body_bytes_max = settings.body_bytes_max.min(largest);
    settings.result_bytes_max = settings.result_bytes_max.min(largest);
    if let Some(rules) = &approval.redact {
        settings.redaction = Redaction::new(rules);
    }
    Ok(Some(settings))
}

fn slack(slack: &Slack) -> anyhow::Result<SlackSettings> {
    let token = secret("token", slack.token.as_deref(), slack.token_file.as_deref())?;
    let Some(token) = token else {
        bail!("`approval.slack` needs `token` or `token_file`");
    };
    let Some(channel) = &slack.channel else {
        bail!("`approval.slack` needs `channel`, the id or name of the channel to ask in");
    };
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
    settings.signing_secret = secret(
        "signing_secret",
        slack.signing_secret.as_deref(),
        slack.signing_secret_file.as_deref(),
    )?;
    Ok(settings)
}

/// A secret given as text or as a file, which ends with the line.
fn secret(name: &str, text: Option<&str>, file: Option<&Path>) -> anyhow::Result<Option<Secret>> {
    let text = match (text, file) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            bail!("`approval.slack.{name}` and `{name}_file` exclude each other; keep one")
        }
        (Some(text), None) => text.to_owned(),
        // The name is left out of errors: the secret itself may have been put in its place.
        (None, Some(file)) => std::fs::read_to_string(file).with_context(|| {
            format!("failed to read the file that `approval.slack.{name}_file` names")
        })?,
    };
    let text = text.trim();
    // Text that is empty is refused already; with an empty signing secret anyone could press.
    ensure!(
        !text.is_empty(),
        "the file that `approval.slack.{name}_file` names is empty; put the secret into it, on one line"
    );
    ensure!(
        !text.contains(char::is_whitespace),
        "`approval.slack.{name}` holds more than one word; give the secret alone"
    );
    Ok(Some(Secret::new(text)))
}
