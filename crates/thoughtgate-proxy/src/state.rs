//! What all threads of one proxy share: settings, the policy snapshot, health, counters.
//!
//! A request is decided by one snapshot alone, so a reload never mixes with a decision that is being
//! made.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use thoughtgate_approval::{Approvals, OpenError, View};
use thoughtgate_panic::lock;
use thoughtgate_policy::Engine;
use tokio::sync::watch;

use crate::abandoned::{self, Abandoned};
use crate::approve::{Held, Holds};
use crate::audit::{self, Audit, Full, Place};
use crate::budget::Budget;
use crate::metrics::Metrics;
use crate::settings::{Rules, Settings};

/// One generation of policies and rules; a request is handled by one alone.
pub struct Snapshot {
    /// Decides; everything is refused where there is none.
    pub engine: Option<Engine>,
    /// Changed only together with the engine.
    pub rules: Rules,
    /// Counts up from 1 with each set that was accepted.
    pub generation: u64,
}

/// Shared by the workers, the admin routes and the control thread.
pub struct Shared {
    /// Fixed for the life of the process.
    pub settings: Settings,
    /// Counters and gauges.
    pub metrics: Metrics,
    /// Bytes that may be buffered, all clients together, but for the audit's share.
    pub budget: Arc<Budget>,
    /// Takes a record of each decision, where one is kept.
    pub audit: Option<Arc<Audit>>,
    /// Calls that go on without their client.
    pub abandoned: Arc<Abandoned>,
    /// Calls that wait for a human with their clients' connections open.
    pub held: Held,
    /// How many such calls there may be.
    pub holds: Holds,
    approvals: OnceLock<Approvals>,
    snapshot: ArcSwap<Snapshot>,
    reload_refused: Mutex<Option<Part>>,
    upstream: Mutex<Reachability>,
    draining: watch::Sender<bool>,
    bringing: AtomicUsize,
}

/// What of a new set was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The configuration: file, environment or flags.
    Configuration,
    /// The policies.
    Policies,
}

/// What the last probe of the upstream found.
#[derive(Debug, Clone, Copy)]
pub enum Reachability {
    /// No probe has ended yet.
    Unknown,
    /// A connection could be opened.
    Up,
    /// It could not; the log has the reason.
    Down,
}

impl Shared {
    /// Starts with a first generation; `took` is the time that loading `engine` took.
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
        metrics.policies_loaded(1, engine.as_ref().map_or(0, Engine::policy_count), took);
        let mut buffered_bytes = settings.buffered_bytes;
        let audit = match &settings.audit {
            Some(audit) => {
                let share = audit::share_of(buffered_bytes);
                buffered_bytes -= share;
                Some(Arc::new(Audit::start(audit, share, metrics.audit.clone())?))
            }
            None => None,
        };
        let budget = Budget::new(buffered_bytes, metrics.budget_refused.clone());
        let abandoned = Abandoned::new(
            abandoned::calls_max(settings.connections),
            metrics.in_flight.clone(),
            metrics.abandoned_cut_off.clone(),
        );
        let holds = Holds::new(settings.connections);
        Ok(Arc::new(Shared {
            settings,
            metrics,
            budget,
            audit,
            abandoned,
            held: Held::default(),
            holds,
            approvals: OnceLock::new(),
            snapshot: ArcSwap::from_pointee(Snapshot {
                engine,
                rules,
                generation: 1,
            }),
            reload_refused: Mutex::new(None),
            upstream: Mutex::new(Reachability::Unknown),
            draining: watch::Sender::new(false),
            bringing: AtomicUsize::new(0),
        }))
    }

    /// Opens the approvals, on the current runtime, once, before the first request.
    ///
    /// # Errors
    /// A setting makes no sense, or the store cannot be used; the error says which.
    pub async fn open_approvals(
        &self,
        settings: thoughtgate_approval::Settings,
    ) -> Result<(), OpenError> {
        let audit = self.audit.clone();
        let observer = Box::new(move |view: &View, principal: &str| {
            if let Some(audit) = &audit {
                audit.approval(view, principal);
            }
        });
        let approvals = Approvals::open_observed(settings, observer).await?;
        let _ = self.approvals.set(approvals);
        Ok(())
    }

    /// The approvals, where a channel for them is configured.
    #[must_use]
    pub fn approvals(&self) -> Option<&Approvals> {
        self.approvals.get()
    }

    /// Room for the audit's line on a request, before that is decided; `None` where it gets none.
    pub async fn place(&self) -> Result<Option<Place<'_>>, Full> {
        match &self.audit {
            Some(audit) => audit.place().await,
            None => Ok(None),
        }
    }

    /// Counts a request that is refused before any decision, and takes it down; `message` is its
    /// body as far as it is known.
    pub fn refused(&self, status: u16, reason: &str, message: &[u8]) {
        self.metrics.refused(status);
        if let Some(audit) = &self.audit {
            audit.refused(status, reason, message);
        }
    }

    /// Puts a new set in force at once, for every request that is not complete yet.
    ///
    /// Called by the one thread that reloads.
    pub fn install(&self, rules: Rules, engine: Engine, took: Duration) -> u64 {
        let generation = self.snapshot().generation + 1;
        self.metrics
            .policies_loaded(generation, engine.policy_count(), took);
        self.metrics.reload(true);
        self.snapshot.store(Arc::new(Snapshot {
            engine: Some(engine),
            rules,
            generation,
        }));
        *lock(&self.reload_refused) = None;
        generation
    }

    /// Remembers what of a new set was not accepted; the one in force stays.
    pub fn refuse_reload(&self, part: Part) {
        self.metrics.reload(false);
        *lock(&self.reload_refused) = Some(part);
    }

    /// What was read again is what is in force; whether something else was refused before.
    pub fn keep(&self) -> bool {
        lock(&self.reload_refused).take().is_some()
    }

    /// What the last reload was refused for, if it was.
    #[must_use]
    pub fn reload_refused(&self) -> Option<Part> {
        *lock(&self.reload_refused)
    }

    /// What is in force now. A request is decided by the one that is in force when it is complete.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Takes what is in force now in place of `snapshot`; whether it is another one.
    pub fn renew(&self, snapshot: &mut Arc<Snapshot>) -> bool {
        let current = self.snapshot.load();
        if Arc::ptr_eq(&current, snapshot) {
            return false;
        }
        *snapshot = Arc::clone(&current);
        true
    }

    /// Records a probe.
    pub fn set_upstream(&self, found: Reachability) {
        *lock(&self.upstream) = found;
    }

    /// What the last probe found.
    #[must_use]
    pub fn upstream(&self) -> Reachability {
        *lock(&self.upstream)
    }

    /// From here on `/ready` says no and connections close after the request they serve.
    pub fn start_draining(&self) {
        self.draining.send_replace(true);
    }

    /// Whether the process is on its way out.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Changes to true once.
    #[must_use]
    pub fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }

    /// Counts a request in until the guard is dropped.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> InFlight {
        self.metrics.in_flight.inc();
        InFlight {
            shared: Arc::clone(self),
            since: Instant::now(),
        }
    }

    /// Counts a connection that may bring requests, until the guard is dropped: when it has ended,
    /// or has been told to bring no more.
    #[must_use]
    pub fn bring(self: &Arc<Self>) -> Bringing {
        self.bringing.fetch_add(1, Ordering::SeqCst);
        Bringing {
            shared: Arc::clone(self),
        }
    }

    /// Waits until no request is in flight and none can come, or `deadline` is over; returns how
    /// many are left.
    pub async fn idle(&self, deadline: Duration) -> usize {
        let mut poll = tokio::time::interval(Duration::from_millis(5));
        let until = Instant::now() + deadline;
        loop {
            // In this order: what a connection brought before it was told is in flight by then.
            let bringing = self.bringing.load(Ordering::SeqCst);
            let left = usize::try_from(self.metrics.in_flight.get()).unwrap_or(0);
            if (bringing == 0 && left == 0) || Instant::now() >= until {
                return left;
            }
            poll.tick().await;
        }
    }
}

/// A connection that may bring requests.
pub struct Bringing {
    shared: Arc<Shared>,
}

impl Drop for Bringing {
    fn drop(&mut self) {
        self.shared.bringing.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A request that is being handled; drain waits for these.
pub struct InFlight {
    shared: Arc<Shared>,
    since: Instant,
}

impl InFlight {
    /// When the request's head was read.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.since
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.shared.metrics.in_flight.dec();
    }
}
