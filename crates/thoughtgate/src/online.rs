//! `--check --online`: asks the upstream, the issuer's keys and the approval channel whether they work as
//! configured.
//!
//! Sends the upstream the `ping` of the readiness probe, fetches the keys of bearer tokens, and makes
//! a few calls to Slack. Calls no tool and asks nobody.

use std::process::ExitCode;

use anyhow::Context;
use thoughtgate_approval::{ChannelSettings, Finding};
use thoughtgate_policy::Engine;
use thoughtgate_proxy::{Rules, Settings, check_keys, check_upstream};

use crate::text::print;

/// Prints one line per fact. The exit code is 2 if something does not work.
pub fn check(
    settings: &Settings,
    rules: &Rules,
    engine: &Engine,
    channel: Option<&ChannelSettings>,
) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    let (lines, works) = runtime.block_on(facts(settings, rules, engine, channel))?;
    print(&lines.concat())?;
    Ok(if works {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

/// The lines, and whether all works.
async fn facts(
    settings: &Settings,
    rules: &Rules,
    engine: &Engine,
    channel: Option<&ChannelSettings>,
) -> anyhow::Result<(Vec<String>, bool)> {
    let mut works = true;
    let mut lines = Vec::new();
    match check_upstream(settings).await {
        Ok(warning) => {
            lines.push("ok: the upstream answers MCP requests\n".to_owned());
            let warning = warning.map(|text| format!("warning: the upstream: {text}\n"));
            lines.extend(warning);
        }
        Err(reason) => {
            works = false;
            lines.push(format!("failed: the upstream: {reason}\n"));
        }
    }
    match check_keys(rules).await {
        None => {}
        Some(Ok(found)) => lines.push(format!("ok: {found} of bearer tokens\n")),
        Some(Err(reason)) => {
            works = false;
            lines.push(format!("failed: the keys of bearer tokens: {reason}\n"));
        }
    }
    let findings = match channel {
        Some(channel) => channel.check_online(&engine.approval_channels()).await?,
        None => Vec::new(),
    };
    for finding in findings {
        lines.push(match finding {
            Finding::Fact(text) => format!("ok: {text}\n"),
            Finding::Warning(text) => format!("warning: {text}\n"),
            Finding::Problem(text) => {
                works = false;
                format!("failed: {text}\n")
            }
        });
    }
    Ok((lines, works))
}
