//! Effect of an approver's vote on an approval: it decides it, withdraws it before the call is made,
//! or comes too late. Does not check whether the voter is an approver: the caller has done that.

use crate::clock::now_ms;
use crate::ids::Id;
use crate::ledger::Ledger;
use crate::record::{Means, Record};
use crate::state::State;
use crate::store::Flush;
use crate::table::ApprovalTable;

/// Most people without the right to vote whose ids are kept per approval.
pub(crate) const NON_APPROVERS_MAX: usize = 20;

/// One approver's vote.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vote<'a> {
    pub(crate) by: &'a str,
    pub(crate) approve: bool,
    pub(crate) means: Means,
}

impl Ledger {
    /// Applies an approver's vote. `None` when it does not change the state: one approval is enough,
    /// and a denial after the call was made is only noted for the approvers to see.
    pub(crate) fn decide(&self, id: Id, vote: Vote<'_>) -> Option<Flush> {
        let mut table = self.table();
        self.decide_in(&mut table, id, vote)
    }

    pub(crate) fn decide_in(
        &self,
        table: &mut ApprovalTable,
        id: Id,
        vote: Vote<'_>,
    ) -> Option<Flush> {
        let record = &table.get(id)?.record;
        let state = record.state;
        // The sweep may be late, for example after the clock was set: a late vote must not count.
        if let Some(end) = record.overdue(now_ms()) {
            self.change(table, id, end, |_| {});
            return None;
        }
        match (state, vote.approve) {
            (State::Pending, true) => self.change(table, id, State::Approved, |record| {
                record.decided_by = Some(vote.by.to_owned());
                record.means = Some(vote.means);
            }),
            (State::Pending, false) => self.change(table, id, State::Rejected, |record| {
                record.decided_by = Some(vote.by.to_owned());
            }),
            (State::Approved, false) => {
                let earlier = record.decided_by.clone().unwrap_or_default();
                self.change(table, id, State::Rejected, |record| {
                    record.decided_by = Some(vote.by.to_owned());
                    record.reason = Some(format!(
                        "the approval by {earlier} was withdrawn before the call was made"
                    ));
                })
            }
            (State::Executing | State::Done | State::Failed, false) => {
                self.edit_in(table, id, |record| {
                    let is_first = record.late_no.is_none();
                    if is_first {
                        record.late_no = Some(vote.by.to_owned());
                    }
                    is_first
                });
                None
            }
            // A second approval adds nothing, and an approval that ended without a call does not change.
            _ => None,
        }
    }

    /// Withdraws an approval; `by` is the approver who did, if one did. Does nothing once the call
    /// is made.
    pub(crate) fn retract(&self, id: Id, by: Option<&str>, reason: &str) -> Option<Flush> {
        let mut table = self.table();
        if table.get(id)?.record.state != State::Approved {
            return None;
        }
        self.change(&mut table, id, State::Rejected, |record| {
            record.decided_by = by.map(str::to_owned);
            record.reason = Some(reason.to_owned());
        })
    }

    /// Ends an approval that approvers cannot be asked about, whose message is gone, or whose votes cannot
    /// be read any more, as is needed before the call is made.
    pub(crate) fn give_up(&self, id: Id, reason: &str) {
        let mut table = self.table();
        self.change(&mut table, id, State::Unavailable, |record| {
            record.reason = Some(reason.to_owned());
        });
    }

    /// Notes people who voted without being approvers.
    pub(crate) fn refuse_voters(&self, id: Id, voters: &[String]) {
        let note = |record: &mut Record| {
            let known = record.non_approvers.len();
            for voter in voters {
                // Anyone in the channel can react, so the list has a limit.
                if record.non_approvers.len() < NON_APPROVERS_MAX
                    && !record.non_approvers.contains(voter)
                {
                    record.non_approvers.push(voter.clone());
                }
            }
            let more = record.non_approvers.len() - known;
            self.counts.refused_voters.add(more as u64);
            more > 0
        };
        self.edit(id, note);
    }
}
