//! State that all threads of one proxy share: settings, the policy snapshot, health, counters.
//!
//! A request is decided by one snapshot alone, so that a reload never changes a decision half-way.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, StatusCode};
use thoughtgate_approval::{Approvals, ChannelSettings, OpenError, View};
use thoughtgate_panic::lock;
use thoughtgate_policy::{Engine, Principal};
use tokio::sync::Notify;

use crate::abandoned::{self, Abandoned};
use crate::approve::{Holds, Parked, Running};
use crate::audit::{self, Audit, Full, Place};
use crate::budget::Budget;
use crate::drain::Drain;
use crate::exchanges::Exchanges;
use crate::held::Held;
use crate::identity::KeySet;
use crate::listeners::Listeners;
use crate::logged;
use crate::metadata_path::MetadataPath;
use crate::metrics::Metrics;
use crate::seen::Seen;
use crate::settings::{Rules, Settings};
use crate::upstream::Moved;

/// One generation of policies and rules; a request is handled by one alone.
pub struct Snapshot {
    /// The policies. Without them every request is refused.
    pub engine: Option<Engine>,
    /// Replaced only together with the engine.
    pub rules: Rules,
    /// Number of this set: counted from 1, up with each accepted reload.
    pub generation: u64,
}

impl Snapshot {
    /// Whether decisions are not carried out. Without policies there is nothing to observe, so that
    /// everything is refused.
    #[must_use]
    pub fn observes(&self) -> bool {
        self.rules.observe && self.engine.is_some()
    }

    /// Whether lists show `tool` to `agent`. While decisions are only observed they show every tool: a client
    /// that lacks one would not try what is to be observed.
    #[must_use]
    pub fn lists(&self, agent: Principal<'_>, tool: &str) -> bool {
        // Without policies nothing may be called, so nothing is listed.
        self.engine
            .as_ref()
            .is_some_and(|engine| self.rules.observe || engine.may_call(agent, tool))
    }
}

/// Shared by the workers, the admin routes and the control thread.
pub struct Shared {
    /// Fixed for the life of the process.
    pub settings: Settings,
    /// Counters and gauges.
    pub metrics: Metrics,
    /// Limit of the bytes that are buffered for all clients together, without the audit's share.
    pub budget: Arc<Budget>,
    /// The audit log, if one is configured.
    pub audit: Option<Arc<Audit>>,
    /// Start of the drain, and the requests and connections that it waits for.
    pub drain: Arc<Drain>,
    /// Whether requests to the upstream succeed.
    pub exchanges: Exchanges,
    /// Calls that continue without their client.
    pub abandoned: Arc<Abandoned>,
    /// Calls that wait for approval with their clients' connections open.
    pub held: Held,
    /// Limit of the number of such calls.
    pub holds: Holds,
    /// Results of approved calls that wait for the same call, sent again.
    pub parked: Parked,
    /// Approved calls whose results are not delivered yet.
    pub running: Running,
    /// Streams that are notified of changes of what an agent may call.
    pub listeners: Arc<Listeners>,
    /// Path to which the upstream's endpoint has moved.
    pub moved: Arc<Moved>,
    /// Path of the upstream's OAuth metadata, if it is not the usual one.
    pub metadata_path: MetadataPath,
    /// The tools that the upstream has listed.
    pub seen: Seen,
    approvals: OnceLock<Approvals>,
    snapshot: ArcSwap<Snapshot>,
    reload_refused: Mutex<Option<Part>>,
    upstream: Mutex<Reachability>,
    suspected: Notify,
    installed: Notify,
}

/// Part of a reload that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The configuration: file, environment or flags.
    Configuration,
    /// The policies.
    Policies,
}

/// Result of the last probe of the upstream.
#[derive(Debug, Clone, Copy)]
pub enum Reachability {
    /// No probe has ended yet.
    Unknown,
    /// An MCP server answers.
    Up,
    /// It answers, compressed although no encoding was asked for: calls pass, lists of tools do not.
    Compresses,
    /// No connection could be opened; the log has the reason.
    Down,
    /// It accepts connections, and gives no complete answer.
    Silent,
    /// It redirects to an address that is not followed; the log has it.
    Redirects,
    /// It answers with this status, and not as an MCP server.
    NotMcp(StatusCode),
}

impl Shared {
    /// Starts with generation 1; `took` is the time that loading `engine` took.
    ///
    /// # Errors
    /// When the audit's file cannot be opened; the error names it.
    pub fn new(
        settings: Settings,
        rules: Rules,
        engine: Option<Engine>,
        took: Duration,
    ) -> std::io::Result<Arc<Shared>> {
        let metrics = Metrics::default();
        metrics.enforcing(!rules.observe);
        metrics.policies_loaded(1, engine.as_ref().map_or(0, Engine::policy_count), took);
        learn(&metrics, engine.as_ref());
        let mut buffered_bytes = settings.buffered_bytes;
        let audit = match &settings.audit {
            Some(audit) => {
                let share = audit::share_of(buffered_bytes);
                buffered_bytes -= share;
                let upstream = settings.upstream.host_header();
                let upstream = String::from_utf8_lossy(upstream.as_bytes()).into_owned();
                let figures = metrics.audit.clone();
                Some(Arc::new(Audit::start(audit, upstream, share, figures)?))
            }
            None => None,
        };
        let budget = Budget::new(buffered_bytes, metrics.budget_refused.clone());
        let abandoned = Abandoned::new(
            abandoned::calls_max(settings.connections),
            metrics.in_flight.clone(),
            metrics.abandoned_cut_off.clone(),
        );
        let drain = Drain::new(metrics.in_flight.clone(), metrics.requests.clone());
        let holds = Holds::new(settings.connections);
        Ok(Arc::new(Shared {
            settings,
            metrics,
            budget,
            audit,
            drain: Arc::clone(&drain),
            exchanges: Exchanges::default(),
            abandoned,
            held: Held::default(),
            holds,
            parked: Parked::default(),
            running: Running::new(drain),
            listeners: Arc::default(),
            moved: Arc::default(),
            metadata_path: MetadataPath::default(),
            seen: Seen::default(),
            approvals: OnceLock::new(),
            snapshot: ArcSwap::from_pointee(Snapshot {
                engine,
                rules,
                generation: 1,
            }),
            reload_refused: Mutex::new(None),
            upstream: Mutex::new(Reachability::Unknown),
            suspected: Notify::new(),
            installed: Notify::new(),
        }))
    }

    /// Opens the approvals on the current runtime. To be called once, before the first request.
    ///
    /// # Errors
    /// When a setting is invalid or the store cannot be used; the error names it.
    pub async fn open_approvals(
        &self,
        settings: thoughtgate_approval::Settings,
        channel: ChannelSettings,
    ) -> Result<(), OpenError> {
        let audit = self.audit.clone();
        let observer = Box::new(move |view: &View, principal: &str| {
            logged::approval(view, principal);
            if let Some(audit) = &audit {
                audit.approval(view, principal);
            }
        });
        let approvals = Approvals::open_observed(settings, channel, observer).await?;
        // In the background: a Slack that is slow must not delay the start.
        approvals.watch_channel();
        let _ = self.approvals.set(approvals);
        Ok(())
    }

    /// The approvals, if a channel for them is configured.
    #[must_use]
    pub fn approvals(&self) -> Option<&Approvals> {
        self.approvals.get()
    }

    /// Reserves room for the audit line of a request that is to be decided; `None` if it gets no line.
    pub async fn place(&self) -> Result<Option<Place<'_>>, Full> {
        match &self.audit {
            Some(audit) => audit.place().await,
            None => Ok(None),
        }
    }

    /// Counts and audits a request that is refused before any decision; `message` is its body as far as
    /// it is known, `headers` are its own.
    pub fn refused(&self, status: u16, reason: &str, message: &[u8], headers: Option<&HeaderMap>) {
        self.metrics.refused(status);
        if let Some(audit) = &self.audit {
            audit.refused(status, reason, message, headers);
        }
    }

    /// Puts a new set in force at once, for every request that is not complete yet, and returns its
    /// generation.
    ///
    /// To be called from one thread only, because two calls at once could use the same generation.
    pub fn install(&self, mut rules: Rules, engine: Engine, took: Duration) -> u64 {
        let before = self.snapshot();
        // The keys in force serve on, unless others are configured.
        rules.identity.keep_keys(&before.rules.identity);
        let generation = before.generation + 1;
        self.metrics
            .policies_loaded(generation, engine.policy_count(), took);
        self.metrics.reload(true);
        self.metrics.enforcing(!rules.observe);
        learn(&self.metrics, Some(&engine));
        self.snapshot.store(Arc::new(Snapshot {
            engine: Some(engine),
            rules,
            generation,
        }));
        self.installed.notify_one();
        *lock(&self.reload_refused) = None;
        let now = self.snapshot();
        if let Some(engine) = &now.engine {
            self.seen.report(engine);
        }
        self.notify_listeners(&before, &now);
        generation
    }

    /// Notifies the open streams of the agents whose list of tools another set has changed.
    fn notify_listeners(&self, before: &Snapshot, now: &Snapshot) {
        self.listeners.notify(|agent| {
            let differs = |tool: &str| before.lists(agent, tool) != now.lists(agent, tool);
            before.engine.is_none() || self.seen.any(differs)
        });
    }

    /// Records which part of a reload was refused; the set in force stays.
    pub fn refuse_reload(&self, part: Part) {
        self.metrics.reload(false);
        *lock(&self.reload_refused) = Some(part);
    }

    /// Records that a reload found the set in force unchanged. Returns whether the one before was refused.
    pub fn keep(&self) -> bool {
        lock(&self.reload_refused).take().is_some()
    }

    /// The part for which the last reload was refused, if it was.
    #[must_use]
    pub fn reload_refused(&self) -> Option<Part> {
        *lock(&self.reload_refused)
    }

    /// The set in force now. A request is decided by the one that is in force when it is complete.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Replaces `snapshot` by the set in force now; returns whether that is another one.
    pub fn renew(&self, snapshot: &mut Arc<Snapshot>) -> bool {
        let current = self.snapshot.load();
        if Arc::ptr_eq(&current, snapshot) {
            return false;
        }
        *snapshot = Arc::clone(&current);
        true
    }

    /// Resolves once a set has been installed since the last call.
    pub async fn installed(&self) {
        self.installed.notified().await;
    }

    /// The published keys that the rules in force verify tokens with, if there are any.
    #[must_use]
    pub fn key_set(&self) -> Option<Arc<KeySet>> {
        self.snapshot.load().rules.identity.key_set().cloned()
    }

    /// Records the result of a probe.
    pub fn set_upstream(&self, found: Reachability) {
        *lock(&self.upstream) = found;
    }

    /// Result of the last probe.
    #[must_use]
    pub fn upstream(&self) -> Reachability {
        *lock(&self.upstream)
    }

    /// Asks for a probe soon, because a request to the upstream failed.
    pub fn suspect_upstream(&self) {
        self.suspected.notify_one();
    }

    /// Resolves once a request to the upstream has failed since the last call.
    pub async fn suspected(&self) {
        self.suspected.notified().await;
    }
}

/// Gives the tools that policies name series of their own.
fn learn(metrics: &Metrics, engine: Option<&Engine>) {
    for tool in engine.iter().flat_map(|engine| engine.named_tools()) {
        metrics.tools.learn(tool);
    }
}
