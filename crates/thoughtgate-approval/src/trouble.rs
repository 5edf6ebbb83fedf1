//! Faults of the channel as the approvals meet them that wait for it: the reason that their callers are
//! told, and the end of those that have waited too long. Knows no channel, and logs nothing.

use std::time::Instant;

use thoughtgate_mcp::cut;

use crate::ids::Id;
use crate::ledger::Ledger;
use crate::record::REASON_BYTES_MAX;
use crate::state::State;
use crate::table::Trouble;

impl Ledger {
    /// Notes why approvers could not be asked, or their votes not be read: shown while the approval is
    /// pending, and the reason if it expires before that works again, decided or not.
    ///
    /// `is_outage`: nobody knows when it works again. An outage that has lasted for
    /// [`crate::Settings::outage`] ends the wait for a decision with this reason. An approval that is given
    /// stays until it expires: its call fails with the reason as long as the votes cannot be read again.
    pub(crate) fn trouble(&self, id: Id, reason: &str, is_outage: bool) {
        let mut table = self.table();
        let Some(entry) = table.get_mut(id) else {
            return;
        };
        let state = entry.record.state;
        if !matches!(state, State::Pending | State::Approved) {
            return;
        }
        // A rate limit in between does not show that the outage is over.
        let since = entry.trouble.take().and_then(|trouble| trouble.since);
        let since = since.or_else(|| is_outage.then(Instant::now));
        entry.trouble = Some(Trouble {
            reason: cut(reason, REASON_BYTES_MAX).to_owned(),
            since,
        });
        let lasts = since.is_some_and(|since| since.elapsed() >= self.settings.outage);
        if is_outage && lasts && state == State::Pending {
            self.change(&mut table, id, State::Unavailable, |record| {
                record.reason = Some(reason.to_owned());
            });
        }
    }
}
