//! The handle that the proxy holds: asks for approvals, waits for them, claims them. Knows nothing
//! of HTTP, MCP messages or policies, and nothing of how approvers are reached.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use thoughtgate_panic::lock;
use tokio::sync::mpsc;

use crate::claim::Claim;
use crate::core::{Core, keep, millis};
use crate::counters::{Counters, Counts, Health};
use crate::error::{ClaimError, OpenError, UnsealError};
use crate::ids::{Digest, Id};
use crate::record::{Record, State, View, now_ms};
use crate::seal::{Sealed, Sealer};
use crate::settings::Settings;
use crate::slack::{Desk, Interaction, InteractionError, InteractionOutcome};
use crate::store::Store;

/// Hears of each approval that entered a state, with whose it is; called at once, and under a lock:
/// it must neither wait nor call back.
pub type Observer = Box<dyn Fn(&View, &str) + Send + Sync>;

/// All approvals of this process. A cheap handle: clones share everything, on any thread.
#[derive(Clone)]
pub struct Approvals {
    pub(crate) core: Arc<Core>,
}

impl std::fmt::Debug for Approvals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Approvals").finish_non_exhaustive()
    }
}

impl Approvals {
    /// Opens the store, takes up what is pending in it, and starts the workers on the current
    /// runtime. Speaks to nobody before the first approval is pending.
    pub async fn open(settings: Settings) -> Result<Self, OpenError> {
        Self::open_observed(settings, Box::new(|_, _| {})).await
    }

    /// Like [`Approvals::open`]; `observer` hears of what a former process left unfinished, too.
    pub async fn open_observed(settings: Settings, observer: Observer) -> Result<Self, OpenError> {
        let counts = Arc::new(Counts::default());
        let desk = Desk::new(&settings.slack, Arc::clone(&counts))?;
        let location = settings.store.clone();
        let (store, loaded) = tokio::task::spawn_blocking(move || Store::open(&location))
            .await
            .map_err(|error| OpenError::Settings(format!("the store was not opened: {error}")))??;
        let sealer = Sealer::new(&loaded.seal_key).ok_or(OpenError::Random)?;
        let core = Arc::new(Core::new(settings, store, sealer, desk, counts, observer));
        core.restore(loaded.records);
        tokio::spawn(keep(Arc::clone(&core)));
        Desk::resume(&core);
        Ok(Self { core })
    }

    /// The approval, if it is `principal`'s.
    #[must_use]
    pub fn find(&self, id: Id, principal: &str) -> Option<View> {
        self.core
            .book()
            .owned(id, principal)
            .map(|entry| entry.record.view())
    }

    /// All approvals of `principal` that are kept, newest first.
    #[must_use]
    pub fn list(&self, principal: &str) -> Vec<View> {
        let book = self.core.book();
        let own = book
            .records()
            .filter(|record| record.principal == principal);
        let mut views: Vec<View> = own.map(Record::view).collect();
        views.sort_unstable_by_key(|view| std::cmp::Reverse((view.created_ms, view.id)));
        views
    }

    /// Waits until the approval is no longer pending, for at most `at_most`. Cancel safe, and at
    /// home on any runtime. `None` when it is not `principal`'s or was forgotten meanwhile.
    pub async fn wait(&self, id: Id, principal: &str, at_most: Duration) -> Option<View> {
        self.wait_while(id, principal, at_most, |state| state == State::Pending)
            .await
    }

    /// Like [`Approvals::wait`], until nothing more can happen: for calls that are answered later.
    pub async fn wait_end(&self, id: Id, principal: &str, at_most: Duration) -> Option<View> {
        self.wait_while(id, principal, at_most, State::is_open)
            .await
    }

    async fn wait_while(
        &self,
        id: Id,
        principal: &str,
        at_most: Duration,
        holds: fn(State) -> bool,
    ) -> Option<View> {
        let mut changed = self.core.book().owned(id, principal)?.changed.subscribe();
        // Timed out, changed or forgotten: what it is now answers all three.
        let _ = tokio::time::timeout(at_most, changed.wait_for(|state| !holds(*state))).await;
        self.find(id, principal)
    }

    /// Makes sure that the approval still holds, as [`Approvals::claim`] does by itself: reads the
    /// votes again where the latest reading is more than a poll interval old. Call it before what
    /// must be fresh when the call is made; the claim then has nothing to wait for. Ends within the
    /// deadline of one call to the approvers' side.
    pub async fn confirm(&self, id: Id, principal: &str) -> Result<(), ClaimError> {
        Claim::confirm(&self.core, id, principal).await
    }

    /// Takes the right to make the approved call; at most one caller ever gets it, restarts
    /// included. On disk before this returns.
    pub async fn claim(
        &self,
        id: Id,
        principal: &str,
        digest: &Digest,
    ) -> Result<Claim, ClaimError> {
        Claim::take(&self.core, id, principal, digest).await
    }

    /// The result that [`Claim::complete`] was given.
    #[must_use]
    pub fn result(&self, id: Id, principal: &str) -> Option<Bytes> {
        let held = {
            let book = self.core.book();
            let entry = book.owned(id, principal)?;
            if entry.record.state != State::Done {
                return None;
            }
            entry.result.clone()
        };
        held.or_else(|| self.core.store.result(id).map(Bytes::from))
    }

    /// The agent takes its request back. Too late, or for another principal, it does nothing. Other
    /// calls that joined the approval see it cancelled too.
    pub fn cancel(&self, id: Id, principal: &str) {
        self.end(id, principal, State::Cancelled, |_| {});
    }

    /// The policy changed its mind after the decision: the call must not run. Does nothing once the
    /// approval is claimed or has ended.
    pub fn revoke(&self, id: Id, principal: &str, reason: &str) {
        self.end(id, principal, State::Rejected, |record| {
            record.reason = Some(reason.to_owned());
            record.decided_by = Some("policy".to_owned());
        });
    }

    fn end(&self, id: Id, principal: &str, state: State, edit: impl FnOnce(&mut Record)) {
        let mut book = self.core.book();
        if book.owned(id, principal).is_some() {
            self.core.change(&mut book, id, state, edit);
        }
    }

    /// The ids of approvals with a kept body as they become approved, those that already are
    /// included. One listener at a time: a later call takes over. Without a listener nothing is
    /// queued.
    #[must_use]
    pub fn ready(&self) -> mpsc::UnboundedReceiver<Id> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let book = self.core.book();
        for record in book
            .records()
            .filter(|r| r.state == State::Approved && r.has_body)
        {
            // The receiver is at hand, so this cannot fail.
            let _ = sender.send(record.id);
        }
        *lock(&self.core.ready) = Some(sender);
        receiver
    }

    /// Request state for a client to carry: says which approval, for which call, until when.
    /// `None` when the approval is not `principal`'s.
    #[must_use]
    pub fn seal(&self, id: Id, principal: &str) -> Option<String> {
        let view = self.find(id, principal)?;
        let expires_ms = view.created_ms.saturating_add(millis(self.life()));
        self.core.sealer.seal(
            &Sealed {
                id,
                digest: view.digest,
                expires_ms,
            },
            principal,
        )
    }

    /// How long an approval may matter, from its creation: to be decided, to be claimed, and for its
    /// end to be told.
    #[must_use]
    pub fn life(&self) -> Duration {
        let settings = &self.core.settings;
        let decided = settings.timeout.saturating_add(settings.approved_for);
        decided.saturating_add(settings.retention)
    }

    /// The largest result that is kept for a call that is answered later, in bytes.
    #[must_use]
    pub fn result_bytes_max(&self) -> usize {
        self.core.settings.result_bytes_max
    }

    /// What [`Approvals::seal`] sealed for the same principal. The caller compares the digest with
    /// that of the call at hand.
    pub fn unseal(&self, text: &str, principal: &str) -> Result<Sealed, UnsealError> {
        self.core.sealer.unseal(text, principal, now_ms())
    }

    /// Checks and reads a button press that arrived over HTTP, by its headers (looked up by name)
    /// and its raw body.
    pub fn verify<'h>(
        &self,
        header: impl Fn(&str) -> Option<&'h str>,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Interaction, InteractionError> {
        self.core.desk.verify(header, body, now)
    }

    /// Acts on a verified button press. May have to look up who belongs to a group: answer the
    /// press first, it must be answered within three seconds.
    pub async fn interact(&self, interaction: Interaction) -> InteractionOutcome {
        Desk::interact(&self.core, interaction).await
    }

    /// Stops the workers, writes what is queued and lets go of the store. Pending approvals are
    /// taken up again by the next [`Approvals::open`].
    pub async fn close(&self) {
        self.core.closed.send_replace(true);
        self.core.store.close().await;
    }

    /// What is wrong at the moment.
    #[must_use]
    pub fn health(&self) -> Health {
        self.core.health()
    }

    /// Numbers for `/metrics`.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.core.counters()
    }
}

#[cfg(test)]
impl Approvals {
    /// Keeps the store from writing for as long as this is held.
    pub(crate) fn stall(&self) -> redb::WriteTransaction {
        self.core.store.stall()
    }

    /// Makes every write to the store's file fail from now on, or no longer.
    pub(crate) fn fail_writes(&self, fails: bool) {
        self.core.store.fail(fails);
    }

    /// Somebody presses no.
    pub(crate) fn deny(&self, id: Id) -> Option<crate::store::Flush> {
        self.press(id, false)
    }

    fn press(&self, id: Id, approve: bool) -> Option<crate::store::Flush> {
        let vote = crate::vote::Vote {
            by: "U1",
            approve,
            means: crate::record::Means::Press,
        };
        self.core.decide(id, vote)
    }

    /// Somebody says yes.
    pub(crate) fn decide(&self, id: Id) {
        assert!(self.press(id, true).is_some());
    }
}
