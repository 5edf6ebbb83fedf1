//! Hot reload: notices changes of policies or configuration and puts the new set in force.
//!
//! The new set is read once its files have settled, and is parsed and validated while the old one
//! stays in force. A bad set is refused with a reason; so is one that changes a setting that is fixed
//! while running (an address, the upstream), rather than half applied. A set that is read again
//! unchanged is not a new generation.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

use anyhow::Context;
use thoughtgate_panic::{info, warn};
use thoughtgate_policy::Engine;
use thoughtgate_proxy::Shared;

use crate::config::{Config, Mode, Setting};
use crate::exposure;
use crate::mistakes::Mistakes;
use crate::overlay::{self, SETTINGS};
use crate::places::Places;

mod inputs;
mod secrets;
mod settling;
mod watch;

pub use inputs::{Inputs, Refused};
use secrets::Secrets;
pub use settling::Change;
use settling::Settling;
use watch::Watch;

/// The state of reloading: the source of the configuration, and the inputs in force.
pub struct Reloader {
    shared: Arc<Shared>,
    source: Source,
    in_force: Inputs,
    secrets: Secrets,
}

/// Reads the configuration again, from the same file, environment and flags.
pub type Source = Box<dyn Fn() -> anyhow::Result<(Config, Places)> + Send>;

impl Reloader {
    /// `in_force` are the inputs that `shared` was started with.
    pub fn new(shared: Arc<Shared>, source: Source, in_force: Inputs) -> Reloader {
        Reloader {
            shared,
            source,
            secrets: Secrets::read(&in_force.config),
            in_force,
        }
    }

    /// Reloads when changes have settled, until all senders of `changes` are gone.
    ///
    /// Blocks its thread, so that neither requests nor health checks wait for a load.
    fn run(mut self, mut watch: Watch, changes: &Receiver<Change>) {
        let mut settling = Settling::default();
        loop {
            let now = Instant::now();
            let change = match settling.due() {
                // Nothing is due, so that there is no time to wake up at.
                None => changes.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(due) if due <= now => Err(RecvTimeoutError::Timeout),
                Some(due) => changes.recv_timeout(due - now),
            };
            match change {
                Ok(change) => settling.note(&change, Instant::now()),
                Err(RecvTimeoutError::Timeout) => self.load(&mut settling, &mut watch, changes),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Loads once, unless further changes are to be waited for, and reports the result on stderr.
    fn load(&mut self, settling: &mut Settling, watch: &mut Watch, changes: &Receiver<Change>) {
        let started = Instant::now();
        let read = self.read(watch);
        for change in changes.try_iter() {
            settling.note(&change, Instant::now());
        }
        if settling.due().is_some_and(|due| due > Instant::now()) {
            // A file changed while the set was read, which may then be half of an update.
            return;
        }
        // A set that cannot be read may be in the middle of an update, like one that lacks something.
        let lost = match &read {
            Ok((read, _)) => self.in_force.lost_in(read),
            Err(_) => true,
        };
        if lost && settling.wait_for_lost(started) {
            return;
        }
        // Ends the batch whatever the result is: a refused set is not read again until something changes.
        let asked = settling.done();
        self.secrets.warn_of_changed();
        match read.and_then(|(read, places)| self.install(read, &places, started, asked)) {
            Ok(Some(line)) => info!("{line}"),
            Ok(None) => {}
            Err(Refused { part, reason }) => {
                warn!("reload refused, the previous policies stay in force: {reason:#}");
                self.shared.refuse_reload(part);
            }
        }
    }

    fn read(&self, watch: &mut Watch) -> Result<(Inputs, Places), Refused> {
        let (config, places) = (self.source)().map_err(Refused::configuration)?;
        // Before the files are read, so that no change is missed. The old files are followed too: they
        // matter again if this configuration is refused.
        watch.follow(&[&self.in_force.config, &config]);
        check_fixed(&self.in_force.config, &config)
            .map_err(|error| Refused::configuration(places.locate(&error)))?;
        Ok((Inputs::read(config, &places)?, places))
    }

    fn install(
        &mut self,
        read: Inputs,
        places: &Places,
        started: Instant,
        asked: bool,
    ) -> Result<Option<String>, Refused> {
        // No new generation: it would make every listening client list its tools again, for the same set.
        if read == self.in_force {
            let generation = self.shared.snapshot().generation;
            let was_refused = self.shared.keep();
            let what = if self.secrets.changed().is_empty() {
                "nothing changed"
            } else {
                "nothing else changed"
            };
            return Ok((asked || was_refused)
                .then(|| format!("{what}: generation {generation} stays in force")));
        }
        // Both parts are built before either is in force, so that a fault in one leaves all as it was.
        let rules = read.rules(places)?;
        let engine = read.replacement()?;
        let count = engine.policy_count();
        let before = self.shared.snapshot();
        let before = before.engine.as_ref().map_or(0, Engine::policy_count);
        let took = started.elapsed();
        read.warn_of_missing(Some(&engine));
        let generation = self.shared.install(rules, engine, took);
        let (old, new) = (self.in_force.config.mode, read.config.mode);
        let listen = self.shared.settings.listen.ip();
        exposure::warn_at_reload(listen, &self.in_force.config.agent, &read.config.agent);
        self.in_force = read;
        if old != new {
            info!("mode changed: {}", new.in_words());
        }
        warn_of_mode(new);
        Ok(Some(format!(
            "reloaded: generation {generation}, {count} policies (before: {before}), {took:.1?}"
        )))
    }
}

/// Warns of a proxy that does not enforce, at the start and at each reload.
pub fn warn_of_mode(mode: Mode) {
    if mode == Mode::Observe {
        warn!(
            "policies are NOT enforced: `mode: observe` forwards what they would refuse or hold; \
             set `mode: enforce`"
        );
    }
}

/// Refuses changes of settings that take a restart, and names all of them. A section without a setting that can
/// be reloaded is named as a whole.
fn check_fixed(old: &Config, new: &Config) -> anyhow::Result<()> {
    let (old, new) = (overlay::tree(old)?, overlay::tree(new)?);
    let differs = |place: &str| old.pointer(place) != new.pointer(place);
    let changed = |row: &&Setting| !row.reloads && differs(&row.pointer());
    let mistakes = SETTINGS.iter().filter(changed).map(|row| {
        let name = name_of(row);
        format!("`{name}` cannot change while running; restart to use the new value")
    });
    Ok(mistakes.collect::<Mistakes>().or(())?)
}

fn name_of(setting: &Setting) -> &str {
    let section = setting.section();
    let part = |row: &Setting| row.reloads && row.section() == section;
    if SETTINGS.iter().any(part) {
        &setting.path
    } else {
        section
    }
}

/// Starts the reload thread. It reloads on file changes and on each message to the returned sender.
pub fn start(reloader: Reloader, file: Option<&Path>) -> anyhow::Result<Sender<Change>> {
    let (ask, changes) = channel();
    let mut watch = Watch::new(file, ask.clone());
    watch.follow(&[&reloader.in_force.config]);
    std::thread::Builder::new()
        .name("reload".to_owned())
        .spawn(move || reloader.run(watch, &changes))
        .context("failed to start the reload thread")?;
    Ok(ask)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;
    use crate::mistakes::lines;

    #[test]
    fn a_setting_that_takes_a_restart_is_refused_by_its_name() {
        for (text, refused) in [
            ("policy: p", None),
            ("agent: {jwt: {leeway: 5s}, groups: {a: [b]}}", None),
            ("upstream: {name: other}", None),
            ("upstream: {url: 'http://a/'}", Some("upstream.url")),
            ("listen: 127.0.0.1:1", Some("listen")),
            ("admin_listen: 127.0.0.1:1", Some("admin_listen")),
            ("limits: {body_bytes: 1, depth: 2, list_bytes: 3}", None),
            (
                "limits: {depth: 1, connections: 1}",
                Some("limits.connections"),
            ),
            (
                "{workers: 3, listen: '127.0.0.1:1', approval: {open: 1, grace: 2s}, limits: {connections: 1}}",
                Some("listen workers limits.connections approval"),
            ),
            ("timeouts: {body: 1s, response: 1s}", None),
            ("timeouts: {drain: 1s}", Some("timeouts.drain")),
            ("audit: a.jsonl", Some("audit")),
            ("audit: {when_full: drop}", Some("audit")),
            ("approval: {slack: {token: x}}", Some("approval")),
        ] {
            let changed = yaml::parse(text).unwrap();
            let found = check_fixed(&Config::default(), &changed);
            let names = refused.unwrap_or_default().split_whitespace();
            let expected: Vec<String> = names
                .map(|name| {
                    format!("`{name}` cannot change while running; restart to use the new value")
                })
                .collect();
            assert_eq!(
                found.err().map(|error| lines(&error)).unwrap_or_default(),
                expected,
                "{text}"
            );
            check_fixed(&changed, &changed).unwrap();
        }
    }
}
