//! The policies that a command asks, and what else it needs of the configuration.
//!
//! Reads the configuration and the policies; asks neither the upstream nor Slack.

use anyhow::{Context, ensure};
use thoughtgate_policy::Engine;

use crate::call::Agents;
use crate::config::Config;
use crate::flags::Flags;
use crate::{load, policies, settings};

/// The policies and what else a command needs of the configuration.
pub struct Asked {
    pub engine: Engine,
    pub config: Config,
}

impl Asked {
    /// Reads everything that `flags` and `environment` name. An upstream is not needed.
    pub fn read(flags: &Flags, environment: &[(String, String)]) -> anyhow::Result<Asked> {
        let (config, _) = load::config(flags, environment)?;
        let sources = policies::read(&config)?
            .context("no policy is configured; pass --policy FILE or set `policy`")?;
        let mut options = policies::options(&config);
        // Without a configuration there is no approval channel, which matters only to a proxy.
        options.approvals |= flags.config.is_none();
        let engine = policies::load(&sources, &options)?;
        ensure!(engine.policy_count() > 0, policies::EMPTY);
        Ok(Asked { engine, config })
    }

    /// The facts about agents that calls do not have themselves.
    pub fn agents(&self) -> Agents<'_> {
        Agents {
            fixed: settings::fixed_agent(&self.config.agent),
            declared: self.config.agent.jwt.claims.clone(),
        }
    }
}
