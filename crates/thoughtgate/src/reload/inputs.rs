//! Everything that a reload reads, kept as it was read, for comparison with the next reload.
//!
//! Reads files and builds rules and an engine from them; puts nothing in force.

use anyhow::bail;
use thoughtgate_panic::warn;
use thoughtgate_policy::{Engine, Source};
use thoughtgate_proxy::{Part, Rules};

use crate::config::Config;
use crate::places::Places;
use crate::{policies, settings};

/// A set that cannot be used.
#[derive(Debug)]
pub struct Refused {
    pub part: Part,
    pub reason: anyhow::Error,
}

/// The configuration and the contents of the files that it names.
#[derive(PartialEq)]
pub struct Inputs {
    /// Merged from file, environment and flags.
    pub config: Config,
    key: Option<Vec<u8>>,
    sources: Option<Vec<Source>>,
}

impl Inputs {
    /// Reads the files that `config` names, whose settings are at `places`.
    pub fn read(config: Config, places: &Places) -> Result<Inputs, Refused> {
        let key = settings::key(&config);
        let key = key.map_err(|error| Refused::configuration(places.locate(&error)))?;
        let sources = policies::read(&config);
        let sources =
            sources.map_err(|error| Refused::policies(places.locate_at("policy", &error)))?;
        Ok(Inputs::new(config, key, sources))
    }

    /// The contents of files that were read.
    pub fn new(config: Config, key: Option<Vec<u8>>, sources: Option<Vec<Source>>) -> Inputs {
        Inputs {
            config,
            key,
            sources,
        }
    }

    /// The reloadable rules besides the policies: identity, guard, limits, timeouts.
    pub fn rules(&self, places: &Places) -> Result<Rules, Refused> {
        let rules = settings::rules(&self.config, self.key.as_deref());
        rules.map_err(|error| Refused::configuration(places.locate(&error)))
    }

    /// The policies; `None` when none are configured.
    pub fn engine(&self) -> Result<Option<Engine>, Refused> {
        let Some(sources) = &self.sources else {
            return Ok(None);
        };
        let engine = policies::load(sources, &policies::options(&self.config));
        Ok(Some(engine.map_err(Refused::policies)?))
    }

    /// Whether a mistake has its place in one of the policy files.
    pub fn is_in_policies(&self, mistake: &str) -> bool {
        let mut sources = self.sources.iter().flatten();
        sources.any(|source| mistake.contains(&format!(" {}:", source.name)))
    }

    /// The policies for a reload. Unlike at the start, a set without any policy is an error.
    pub fn replacement(&self) -> Result<Engine, Refused> {
        let some = || match self.engine() {
            // It would refuse everything from now on; in a running proxy that is taken for a mistake.
            Ok(None) => bail!("no policy file is configured any more; set `policy`"),
            Ok(Some(engine)) if engine.policy_count() == 0 => bail!(policies::EMPTY),
            Ok(Some(engine)) => Ok(engine),
            Err(refused) => Err(refused.reason),
        };
        some().map_err(Refused::policies)
    }

    /// Warns where policies are missing: all of them, or those of a file, which may have been cut off and of
    /// which nobody would miss a `forbid`. `engine` has the policies of these inputs.
    pub fn warn_of_missing(&self, engine: Option<&Engine>) {
        let Some(engine) = engine else {
            return warn!("no policy is configured, so everything is refused; pass --policy FILE");
        };
        if engine.policy_count() == 0 {
            return warn!("every tool call is refused: {}", policies::EMPTY);
        }
        for source in self.sources.iter().flatten() {
            let name = &source.name;
            if !engine.has_policy_of(name) {
                warn!("policy file `{name}` contains no policy");
            }
        }
    }

    /// Whether a file of these inputs is missing or shorter in `newer`: an editor may be about to write
    /// it again.
    pub fn lost_in(&self, newer: &Inputs) -> bool {
        let length = |key: &Option<Vec<u8>>| key.as_ref().map_or(0, Vec::len);
        let newer_sources = newer.sources.as_deref().unwrap_or_default();
        let is_there = |old: &Source| {
            newer_sources
                .iter()
                .any(|new| new.name == old.name && new.text.len() >= old.text.len())
        };
        length(&newer.key) < length(&self.key) || !self.sources.iter().flatten().all(is_there)
    }
}

impl Refused {
    pub fn configuration(reason: anyhow::Error) -> Refused {
        let part = Part::Configuration;
        Refused { part, reason }
    }

    fn policies(reason: anyhow::Error) -> Refused {
        let part = Part::Policies;
        Refused { part, reason }
    }
}

/// At the start, the reason alone counts.
impl From<Refused> for anyhow::Error {
    fn from(refused: Refused) -> anyhow::Error {
        refused.reason
    }
}
