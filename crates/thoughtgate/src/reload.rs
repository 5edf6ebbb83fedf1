//! Hot reload: notices that policies or configuration changed, and puts the new set in force.
//!
//! The new set is read, parsed and validated aside; a bad one is refused with its reason and the one
//! in force stays. What cannot change while running (an address, the upstream) is refused as well,
//! rather than half applied.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use thoughtgate_proxy::{Part, Rules, Shared};
use tokio::sync::mpsc;

use crate::config::Config;
use crate::policies::Loaded;
use crate::{policies, settings};

/// One change is often several events (a rename is two, a symlink swap four).
const SETTLE: Duration = Duration::from_millis(5);

/// Reloads on request, keeping what it needs to do so.
pub struct Reloader {
    shared: Arc<Shared>,
    source: Source,
    running: Config,
}

/// Reads the configuration anew, from the same file, environment and flags.
pub type Source = Box<dyn Fn() -> anyhow::Result<Config> + Send>;

impl Reloader {
    /// `running` is the configuration that `shared` was started with.
    pub fn new(shared: Arc<Shared>, source: Source, running: Config) -> Reloader {
        Reloader {
            shared,
            source,
            running,
        }
    }

    /// Reloads once and says on stderr what came of it.
    pub fn reload(&mut self) {
        match self.try_reload() {
            Ok(line) => eprintln!("thoughtgate: {line}"),
            Err((part, error)) => {
                eprintln!(
                    "thoughtgate: warning: reload refused, the policies in force stay: {error:#}"
                );
                self.shared.refuse_reload(part);
            }
        }
    }

    fn try_reload(&mut self) -> Result<String, (Part, anyhow::Error)> {
        let (config, rules) = self
            .configuration()
            .map_err(|error| (Part::Configuration, error))?;
        let Loaded { engine, took } = policies(&config).map_err(|error| (Part::Policies, error))?;
        let count = engine.policy_count();
        let generation = self.shared.install(rules, engine, took);
        self.running = config;
        Ok(format!(
            "reloaded: generation {generation}, {count} policies, {took:.1?}"
        ))
    }

    fn configuration(&self) -> anyhow::Result<(Config, Rules)> {
        let config = (self.source)()?;
        if let Some(name) = fixed_difference(&self.running, &config) {
            bail!("`{name}` cannot change while running; restart to use the new value");
        }
        let rules = settings::rules(&config, settings::key(&config)?.as_deref())?;
        Ok((config, rules))
    }

    /// Watches the files and reloads when they change or `asked` says so; ends with `asked`.
    ///
    /// Blocks its thread, so that neither requests nor health checks wait for a load.
    pub fn run(mut self, watch: Watch, asked: &mut mpsc::UnboundedReceiver<()>) {
        let _watcher = watch.watcher;
        while asked.blocking_recv().is_some() {
            std::thread::sleep(SETTLE);
            while asked.try_recv().is_ok() {}
            self.reload();
        }
    }
}

fn policies(config: &Config) -> anyhow::Result<Loaded> {
    let Some(loaded) = policies::load(config)? else {
        bail!("the configuration names no policy any more");
    };
    if loaded.engine.policy_count() == 0 {
        // Most likely a file caught half written, or emptied by a full disk.
        bail!(
            "the policy files hold no policy; to refuse everything, write `forbid (principal, action, resource);`"
        );
    }
    Ok(loaded)
}

/// A running watch on folders; it ends when it is dropped.
pub struct Watch {
    watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Sends to `changed` after each finished change to a file that `config` (or the flag that
    /// named its file) depends on. Where the system gives no watch, SIGHUP still reloads.
    pub fn start(
        config: &Config,
        file: Option<&Path>,
        changed: mpsc::UnboundedSender<()>,
    ) -> Watch {
        let folders = folders(config, file);
        let started = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| is_finished_change(event.kind)) {
                let _ = changed.send(());
            }
        })
        .and_then(|mut watcher| {
            for folder in &folders {
                watcher.watch(folder, RecursiveMode::NonRecursive)?;
            }
            Ok(watcher)
        });
        match started {
            Ok(watcher) => Watch {
                watcher: Some(watcher),
            },
            Err(error) => {
                eprintln!(
                    "thoughtgate: warning: files cannot be watched ({error}); reload with SIGHUP"
                );
                Watch { watcher: None }
            }
        }
    }
}

/// A file closed after writing, renamed into place, linked or removed. Writes themselves are not
/// waited on: between two of them a file is half written.
fn is_finished_change(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(_))
            | EventKind::Create(_)
            | EventKind::Remove(_)
    )
}

/// The folders in which a change shows: of each file, the one it stands in, which is also where
/// Kubernetes swaps the `..data` link of a mounted `ConfigMap`.
fn folders(config: &Config, file: Option<&Path>) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for path in [
        file,
        config.policy.as_deref(),
        config.agent.jwt.key_file.as_deref(),
    ]
    .into_iter()
    .flatten()
    {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        folders.push(parent.to_path_buf());
        if path.is_dir() {
            folders.push(path.to_path_buf());
        } else if let Ok(real) = path.canonicalize()
            && let Some(parent) = real.parent()
        {
            // Behind a link the text changes elsewhere than the link does.
            folders.push(parent.to_path_buf());
        }
    }
    folders.sort();
    folders.dedup();
    folders
}

/// The first setting that differs and cannot change while running.
fn fixed_difference(old: &Config, new: &Config) -> Option<&'static str> {
    let (before, after) = (&old.timeouts, &new.timeouts);
    let differs = [
        ("listen", old.listen != new.listen),
        ("admin_listen", old.admin_listen != new.admin_listen),
        ("workers", old.workers != new.workers),
        ("upstream.url", old.upstream.url != new.upstream.url),
        (
            "limits.connections",
            old.limits.connections != new.limits.connections,
        ),
        (
            "limits.buffered_bytes",
            old.limits.buffered_bytes != new.limits.buffered_bytes,
        ),
        ("audit", old.audit != new.audit),
        ("approval", old.approval != new.approval),
        ("timeouts.head", before.head != after.head),
        ("timeouts.connect", before.connect != after.connect),
        (
            "timeouts.probe_interval",
            before.probe_interval != after.probe_interval,
        ),
        ("timeouts.drain", before.drain != after.drain),
    ];
    differs
        .into_iter()
        .find(|(_, differs)| *differs)
        .map(|(name, _)| name)
}

/// Starts the thread that reloads, on file changes and on each message to the returned sender.
pub fn start(reloader: Reloader, file: Option<&Path>) -> anyhow::Result<mpsc::UnboundedSender<()>> {
    let (ask, mut asked) = mpsc::unbounded_channel();
    let watch = Watch::start(&reloader.running, file, ask.clone());
    std::thread::Builder::new()
        .name("reload".to_owned())
        .spawn(move || reloader.run(watch, &mut asked))
        .context("failed to start the reload thread")?;
    Ok(ask)
}
