//! What people's words do to an approval: decide it, take a yes back before the call is made, or come
//! too late. Whether somebody may decide is settled before.

use crate::book::Book;
use crate::core::Core;
use crate::ids::Id;
use crate::record::{Means, Record, State, now_ms};
use crate::store::Flush;

/// Names kept per approval of people who may not decide.
pub(crate) const STRANGERS_MAX: usize = 20;

/// One approver's word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vote<'a> {
    pub(crate) by: &'a str,
    pub(crate) approve: bool,
    pub(crate) means: Means,
}

impl Core {
    /// Takes an approver's word. `None` when it changes nothing: one yes is enough, a no counts
    /// until the call is made, and a later one is noted for the approvers to see.
    pub(crate) fn decide(&self, id: Id, vote: Vote<'_>) -> Option<Flush> {
        let mut book = self.book();
        self.decide_in(&mut book, id, vote)
    }

    pub(crate) fn decide_in(&self, book: &mut Book, id: Id, vote: Vote<'_>) -> Option<Flush> {
        let record = &book.get(id)?.record;
        let state = record.state;
        let is_undecided = matches!(state, State::Pending | State::Approved);
        if is_undecided && record.expires_ms <= now_ms() {
            self.change(book, id, State::Expired, |_| {});
            return None;
        }
        match (state, vote.approve) {
            (State::Pending, true) => self.change(book, id, State::Approved, |record| {
                record.decided_by = Some(vote.by.to_owned());
                record.means = Some(vote.means);
            }),
            (State::Pending, false) => self.change(book, id, State::Rejected, |record| {
                record.decided_by = Some(vote.by.to_owned());
            }),
            (State::Approved, false) => {
                let earlier = record.decided_by.clone().unwrap_or_default();
                self.change(book, id, State::Rejected, |record| {
                    record.decided_by = Some(vote.by.to_owned());
                    record.reason = Some(format!(
                        "the approval by {earlier} was taken back before the call was made"
                    ));
                })
            }
            (State::Executing | State::Done | State::Failed, false) => {
                self.edit_in(book, id, |record| {
                    let is_first = record.late_no.is_none();
                    if is_first {
                        record.late_no = Some(vote.by.to_owned());
                    }
                    is_first
                });
                None
            }
            _ => None,
        }
    }

    /// The yes holds no longer; `by` is who took it back, if somebody did. Does nothing once the
    /// call is made.
    pub(crate) fn retract(&self, id: Id, by: Option<&str>, reason: &str) -> Option<Flush> {
        let mut book = self.book();
        if book.get(id)?.record.state != State::Approved {
            return None;
        }
        self.change(&mut book, id, State::Rejected, |record| {
            record.decided_by = by.map(str::to_owned);
            record.reason = Some(reason.to_owned());
        })
    }

    /// Nobody could be asked, and nobody will be; or nobody can see any more what was asked.
    pub(crate) fn give_up(&self, id: Id, reason: &str) {
        let mut book = self.book();
        self.change(&mut book, id, State::Unavailable, |record| {
            record.reason = Some(reason.to_owned());
        });
    }

    /// Notes people who tried to decide and may not.
    pub(crate) fn refuse_voters(&self, id: Id, voters: &[String]) {
        let note = |record: &mut Record| {
            let known = record.strangers.len();
            for voter in voters {
                if record.strangers.len() < STRANGERS_MAX && !record.strangers.contains(voter) {
                    record.strangers.push(voter.clone());
                }
            }
            let more = record.strangers.len() - known;
            self.counts.refused_voters.add(more as u64);
            more > 0
        };
        self.edit(id, note);
    }
}
