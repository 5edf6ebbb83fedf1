//! The handle that the proxy holds: asks for approvals, waits for them, claims them. Knows nothing
//! of HTTP, MCP messages or policies, and nothing of how approvers are reached.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use thoughtgate_panic::lock;
use tokio::sync::mpsc;

use crate::cause::chain;
use crate::channel::{Channel, ChannelSettings};
use crate::claim::Claim;
use crate::clock::{millis, now_ms};
use crate::counters::{Counters, Counts, Health};
use crate::error::{ClaimError, OpenError, UnsealError};
use crate::ids::{Digest, Id};
use crate::ledger::{Ledger, Observer, keep};
use crate::record::Record;
use crate::seal::{Sealed, Sealer};
use crate::settings::Settings;
use crate::slack::{Interaction, InteractionError, InteractionOutcome};
use crate::state::State;
use crate::store::Store;
use crate::table::Entry;
use crate::user::{UserDigest, UserKey};
use crate::view::{POLICY, SUPERSEDED, View};

/// Handle to all approvals of this process. Clones are cheap, share everything, and work on any
/// thread.
#[derive(Clone)]
pub struct Approvals {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) channel: Channel,
}

impl std::fmt::Debug for Approvals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Approvals").finish_non_exhaustive()
    }
}

impl Approvals {
    /// Opens the store, resumes the approvals that are open in it, and starts the workers on the
    /// current runtime. Opens no connection until an approval is open.
    pub async fn open(settings: Settings, channel: ChannelSettings) -> Result<Self, OpenError> {
        Self::open_observed(settings, channel, Box::new(|_, _| {})).await
    }

    /// Like [`Approvals::open`], with an observer. It is also called for approvals of the previous
    /// process that change state because of the restart.
    pub async fn open_observed(
        settings: Settings,
        channel: ChannelSettings,
        observer: Observer,
    ) -> Result<Self, OpenError> {
        let counts = Arc::new(Counts::default());
        // Checked first: settings that cannot work must not create the store's file.
        let prepared = channel.prepare(Arc::clone(&counts))?;
        let location = settings.store.clone();
        let (store, loaded) = tokio::task::spawn_blocking(move || Store::open(&location))
            .await
            .map_err(OpenError::Aborted)??;
        let sealer = Sealer::new(&loaded.seal_key).ok_or(OpenError::Random)?;
        let keys = (sealer, UserKey::new(&loaded.seal_key));
        let ledger = Arc::new(Ledger::new(settings, store, keys, counts, observer));
        // Before any worker starts, so that none sees a call of the previous process as running.
        ledger.restore(loaded.records);
        tokio::spawn(keep(Arc::clone(&ledger)));
        let channel = prepared.open(Arc::clone(&ledger));
        channel.resume();
        Ok(Self { ledger, channel })
    }

    /// Checks in the background whether approvers can be asked, before anyone has to be, and again
    /// after faults; [`Approvals::health`] has the result. Without this, no connection is opened until
    /// an approval is open.
    pub fn watch_channel(&self) {
        self.channel.watch();
    }

    /// The approval, if it belongs to `principal`.
    #[must_use]
    pub fn find(&self, id: Id, principal: &str) -> Option<View> {
        self.ledger.table().owned(id, principal).map(Entry::view)
    }

    /// Whether the approval belongs to `principal` and is asked for in that channel, a name or an id;
    /// `None` is the default channel. Check it with the latest decision of the policies: an approval
    /// given in one channel is not good for a call that needs another one.
    #[must_use]
    pub fn is_asked_in(&self, id: Id, principal: &str, channel: Option<&str>) -> bool {
        let table = self.ledger.table();
        let entry = table.owned(id, principal);
        entry.is_some_and(|entry| self.channel.is_asked_in(&entry.record, channel))
    }

    /// Digest of a user, by what the user is identified by: those of one agent may be many.
    #[must_use]
    pub fn user(&self, identity: &[u8]) -> UserDigest {
        self.ledger.users.digest(identity)
    }

    /// The approval, if its call is answered later, to `user` of `principal`.
    #[must_use]
    pub fn task(&self, id: Id, principal: &str, user: UserDigest) -> Option<View> {
        let table = self.ledger.table();
        let entry = table.owned(id, principal)?;
        entry.record.is_task_of(user).then(|| entry.view())
    }

    /// All approvals that [`Approvals::task`] finds, newest first.
    #[must_use]
    pub fn tasks(&self, principal: &str, user: UserDigest) -> Vec<View> {
        self.newest_first(|record| record.principal == principal && record.is_task_of(user))
    }

    /// All approvals of `principal` that are kept, newest first.
    #[must_use]
    pub fn list(&self, principal: &str) -> Vec<View> {
        self.newest_first(|record| record.principal == principal)
    }

    fn newest_first(&self, wanted: impl Fn(&Record) -> bool) -> Vec<View> {
        let table = self.ledger.table();
        let wanted = table.records().filter(|record| wanted(record));
        let mut views: Vec<View> = wanted.map(Record::view).collect();
        views.sort_unstable_by_key(|view| std::cmp::Reverse((view.created_ms, view.id)));
        views
    }

    /// Waits until the approval is no longer pending, for at most `at_most`. Cancel safe; works on
    /// any runtime. `None` when it does not belong to `principal` or was forgotten while waiting.
    pub async fn wait(&self, id: Id, principal: &str, at_most: Duration) -> Option<View> {
        self.wait_while(id, principal, at_most, |state| state == State::Pending)
            .await
    }

    /// Like [`Approvals::wait`], until the approval has ended: for calls that are answered later.
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
        let mut changed = self
            .ledger
            .table()
            .owned(id, principal)?
            .changed
            .subscribe();
        // Timed out, changed or forgotten: the present state is the answer to all three.
        let _ = tokio::time::timeout(at_most, changed.wait_for(|state| !holds(*state))).await;
        self.find(id, principal)
    }

    /// Checks that the approval still holds, as [`Approvals::claim`] does by itself: reads the votes
    /// again if the latest reading is more than a poll interval old, so that a denial given before
    /// that interval is never overlooked. Call it before other checks that must be fresh when the
    /// call is made, such as the policies': the claim then finds fresh votes and need not wait.
    /// Returns within [`crate::SlackSettings::call_timeout`].
    pub async fn confirm(&self, id: Id, principal: &str) -> Result<(), ClaimError> {
        // Checked first, so that an agent that guesses ids causes no calls to Slack.
        if self.ledger.table().owned(id, principal).is_none() {
            return Err(ClaimError::Unknown);
        }
        let confirmed = self.channel.confirm(id).await;
        confirmed.map_err(|error| ClaimError::Unconfirmed(Box::new(error)))
    }

    /// Takes the right to make the approved call. At most one caller ever gets it, restarts
    /// included: the claim is on disk before this returns.
    pub async fn claim(
        &self,
        id: Id,
        principal: &str,
        digest: &Digest,
    ) -> Result<Claim, ClaimError> {
        self.confirm(id, principal).await?;
        // Checks the state once more, since it can change between the confirmation and the claim.
        Claim::take(&self.ledger, id, principal, digest).await
    }

    /// The result that was passed to [`Claim::complete`]; `None` unless the approval is done and
    /// belongs to `principal`.
    #[must_use]
    pub fn result(&self, id: Id, principal: &str) -> Option<Bytes> {
        let held = {
            let table = self.ledger.table();
            let entry = table.owned(id, principal)?;
            if entry.record.state != State::Done {
                return None;
            }
            entry.result.clone()
        };
        // Without the lock, since this reads the disk. A result leaves memory only once it is on disk.
        held.or_else(|| self.ledger.store.result(id).map(Bytes::from))
    }

    /// Notes that a caller is told of the approval's end, which no equal call is then told again.
    pub fn told(&self, id: Id) {
        let mut table = self.ledger.table();
        self.ledger
            .edit_in(&mut table, id, |record| record.untold_ms.take().is_some());
        table.index(id);
    }

    /// Cancels the agent's request. Does nothing once the approval is claimed or has ended, or if it
    /// belongs to another principal. Other calls that joined the approval see it cancelled too.
    pub fn cancel(&self, id: Id, principal: &str) {
        self.end(id, principal, State::Cancelled, |_| {});
    }

    /// Rejects the approval because the policies no longer permit the call. Does nothing once the
    /// approval is claimed or has ended.
    pub fn revoke(&self, id: Id, principal: &str, reason: &str) {
        self.end(id, principal, State::Rejected, |record| {
            record.reason = Some(reason.to_owned());
            record.decided_by = Some(POLICY.to_owned());
        });
    }

    /// Rejects the approval because the policies now require one in another channel. Does nothing once
    /// the approval is claimed or has ended.
    pub fn supersede(&self, id: Id, principal: &str) {
        self.revoke(id, principal, SUPERSEDED);
    }

    fn end(&self, id: Id, principal: &str, state: State, edit: impl FnOnce(&mut Record)) {
        let mut table = self.ledger.table();
        if table.owned(id, principal).is_some() {
            self.ledger.change(&mut table, id, state, edit);
        }
    }

    /// Yields the ids of approvals with a kept body as they become approved, beginning with those
    /// that already are. One listener at a time: a later call takes over. Without a listener nothing
    /// is queued.
    #[must_use]
    pub fn ready(&self) -> mpsc::UnboundedReceiver<Id> {
        let (sender, receiver) = mpsc::unbounded_channel();
        // Locked until the sender is in place, so that an approval decided meanwhile is sent exactly once.
        let table = self.ledger.table();
        for record in table
            .records()
            .filter(|r| r.state == State::Approved && r.has_body)
        {
            // Cannot fail: the receiver is still in scope.
            let _ = sender.send(record.id);
        }
        *lock(&self.ledger.ready) = Some(sender);
        receiver
    }

    /// Request state for a client to send back: approval id, digest, expiry and `carried`, sealed. `None`
    /// when the approval does not belong to `principal`, `carried` is longer than
    /// [`crate::CARRIED_BYTES_MAX`], or the system's random source fails.
    #[must_use]
    pub fn seal(&self, id: Id, principal: &str, carried: &[u8]) -> Option<String> {
        let view = self.find(id, principal)?;
        let expires_ms = view.created_ms.saturating_add(millis(self.life()));
        self.ledger.sealer.seal(
            &Sealed {
                id,
                digest: view.digest,
                expires_ms,
                carried: carried.to_vec(),
            },
            principal,
        )
    }

    /// Longest life of an approval from its creation: the time to decide, the time to claim, and the
    /// retention of its outcome.
    #[must_use]
    pub fn life(&self) -> Duration {
        let settings = &self.ledger.settings;
        let decided = settings.timeout.saturating_add(settings.approved_for);
        decided.saturating_add(settings.retention)
    }

    /// Time within which a client sends an approved call again.
    #[must_use]
    pub fn approved_for(&self) -> Duration {
        self.ledger.settings.approved_for
    }

    /// Largest result that is kept for a call that is answered later, in bytes.
    #[must_use]
    pub fn result_bytes_max(&self) -> usize {
        self.ledger.settings.result_bytes_max
    }

    /// Opens a request state that [`Approvals::seal`] made for the same principal. The caller must
    /// compare its digest with that of the call at hand.
    pub fn unseal(&self, text: &str, principal: &str) -> Result<Sealed, UnsealError> {
        self.ledger.sealer.unseal(text, principal, now_ms())
    }

    /// Verifies and parses a button press that arrived over HTTP. `header` looks up a header by its
    /// name; `body` is the raw body.
    pub fn verify<'h>(
        &self,
        header: impl Fn(&str) -> Option<&'h str>,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Interaction, InteractionError> {
        self.channel.verify(header, body, now)
    }

    /// Applies a verified button press. Send the HTTP response before calling this: Slack expects it
    /// within three seconds, and this may first have to look up the members of a user group.
    pub async fn interact(&self, interaction: Interaction) -> InteractionOutcome {
        self.channel.interact(interaction).await
    }

    /// Stops the workers, writes what is queued and releases the store. The next
    /// [`Approvals::open`] resumes the approvals that are open.
    pub async fn close(&self) {
        self.ledger.closed.send_replace(true);
        self.ledger.store.close().await;
    }

    /// Current faults of the store and of the calls to Slack.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            store: self.ledger.store.failure().map(|failure| chain(&failure)),
            approvers: self.channel.failure(),
        }
    }

    /// Snapshot of the counters and gauges for `/metrics`.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.ledger.counters()
    }
}

#[cfg(test)]
impl Approvals {
    /// Keeps the store from writing for as long as this is held.
    pub(crate) fn stall(&self) -> redb::WriteTransaction {
        self.ledger.store.stall()
    }

    /// Sets whether writes to the store's file fail.
    pub(crate) fn fail_writes(&self, fails: bool) {
        self.ledger.store.fail(fails);
    }

    /// Denies the approval with a button.
    pub(crate) fn deny(&self, id: Id) -> Option<crate::store::Flush> {
        self.interaction(id, false)
    }

    fn interaction(&self, id: Id, approve: bool) -> Option<crate::store::Flush> {
        let vote = crate::vote::Vote {
            by: "U1",
            approve,
            means: crate::record::Means::Interaction,
        };
        self.ledger.decide(id, vote)
    }

    /// Approves with a button, which must succeed.
    pub(crate) fn decide(&self, id: Id) {
        assert!(self.interaction(id, true).is_some());
    }
}
