//! Limits on what is kept, in approvals and in bytes, and the order in which it is dropped. At a
//! limit, ended approvals are dropped and new ones refused; open ones are never dropped. The
//! approvals of one agent cannot push out what others need.

use std::collections::HashMap;

use crate::clock::millis;
use crate::error::RequestError;
use crate::ids::Id;
use crate::settings::Settings;
use crate::table::{ApprovalTable, Entry};

/// Open approvals may take one part in this many of `kept_bytes_max`, so that results find room.
const OPEN_PART: usize = 2;

/// One agent's open approvals may take one part in this many of `kept_bytes_max`; of ended ones,
/// those of agents that have more than that are dropped first.
pub(crate) const AGENT_PART: usize = 8;

impl ApprovalTable {
    /// Checks that `principal` may have `more` new open approvals of `bytes` in all; with 0 of them,
    /// that its open ones may grow by `bytes`.
    pub(crate) fn check_room(
        &self,
        principal: &str,
        more: usize,
        bytes: usize,
        settings: &Settings,
    ) -> Result<(), RequestError> {
        let (mut all, mut own) = ((more, bytes), (more, bytes));
        for entry in self.entries().filter(|entry| entry.record.state.is_open()) {
            let is_own = entry.record.principal == principal;
            for sum in [Some(&mut all), is_own.then_some(&mut own)]
                .into_iter()
                .flatten()
            {
                sum.0 += 1;
                sum.1 += entry.bytes;
            }
        }
        let kept = settings.kept_bytes_max;
        for ((open, bytes), open_max, bytes_max) in [
            (all, settings.open_max, kept / OPEN_PART),
            (own, settings.open_per_principal_max, kept / AGENT_PART),
        ] {
            if open > open_max {
                let (open, limit) = (open - more, open_max);
                return Err(RequestError::Busy { open, limit });
            }
            if bytes > bytes_max {
                let limit = bytes_max;
                return Err(RequestError::Full { bytes, limit });
            }
        }
        Ok(())
    }

    /// Forgets approvals whose retention is over, then as many ended ones as the limits require with
    /// `coming` bytes more; returns the forgotten ids.
    pub(crate) fn prune(&mut self, now_ms: u64, settings: &Settings, coming: usize) -> Vec<Id> {
        let retention_ms = millis(settings.retention);
        let is_old = |entry: &Entry| {
            let until = entry.record.updated_ms.saturating_add(retention_ms);
            !entry.record.state.is_open() && until <= now_ms
        };
        // Old ones first: they go in any case, and may leave room enough.
        let old = self.entries().filter(|entry| is_old(entry));
        let mut gone: Vec<Id> = old.map(|entry| entry.record.id).collect();
        for id in &gone {
            self.remove(*id);
        }
        let count_max = settings.kept_max;
        if self.len() > count_max {
            for id in self.ended(|_| 1, count_max / AGENT_PART) {
                if self.len() <= count_max {
                    break;
                }
                self.remove(id);
                gone.push(id);
            }
        }
        let bytes_max = settings.kept_bytes_max.saturating_sub(coming);
        if self.bytes() > bytes_max {
            let share = settings.kept_bytes_max / AGENT_PART;
            for id in self.ended(|entry| entry.bytes, share) {
                if self.bytes() <= bytes_max {
                    break;
                }
                self.remove(id);
                gone.push(id);
            }
        }
        gone
    }

    /// Ended approvals in the order in which they are dropped: the oldest of agents with more than
    /// `share` until they have no more than that, then the oldest of all.
    fn ended(&self, weight: impl Fn(&Entry) -> usize, share: usize) -> Vec<Id> {
        let is_ended = |entry: &&Entry| !entry.record.state.is_open();
        let mut ended: Vec<&Entry> = self.entries().filter(is_ended).collect();
        ended.sort_unstable_by_key(|entry| (entry.record.updated_ms, entry.record.id));
        let mut sums: HashMap<&str, usize> = HashMap::new();
        for entry in &ended {
            *sums.entry(&entry.record.principal).or_default() += weight(entry);
        }
        // The sum shrinks with each one that is taken, so an agent keeps its newest up to its share.
        let (first, last): (Vec<&Entry>, Vec<&Entry>) = ended.into_iter().partition(|entry| {
            let sum = sums.entry(&entry.record.principal).or_default();
            let is_over = *sum > share;
            if is_over {
                *sum = sum.saturating_sub(weight(entry));
            }
            is_over
        });
        first
            .into_iter()
            .chain(last)
            .map(|entry| entry.record.id)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::record::Record;
    use crate::settings::StoreLocation;
    use crate::state::State;

    fn settings() -> Settings {
        let mut settings = Settings::new(StoreLocation::Memory);
        settings.retention = Duration::from_millis(10);
        settings
    }

    /// An approval of `principal` that last changed at `ms`.
    fn record(principal: &str, state: State, ms: u64) -> Record {
        let mut record = crate::table::tests::record(principal, state, 1000);
        record.principal = principal.to_owned();
        record.updated_ms = ms;
        record
    }

    fn left(table: &ApprovalTable) -> Vec<(String, u64)> {
        let mut left: Vec<(String, u64)> = table
            .records()
            .map(|record| (record.principal.clone(), record.updated_ms))
            .collect();
        left.sort();
        left
    }

    #[test]
    fn only_ended_approvals_are_forgotten() {
        let mut settings = settings();
        let mut table = ApprovalTable::default();
        for state in [State::Done, State::Pending, State::Executing] {
            table.insert(record("a", state, 0));
        }
        assert!(table.prune(9, &settings, 0).is_empty());
        assert_eq!(table.prune(10, &settings, 0).len(), 1);
        settings.kept_max = 0;
        settings.kept_bytes_max = 0;
        assert_eq!(table.prune(9999, &settings, 0).len(), 0);
        assert_eq!(table.len(), 2);
        assert_eq!(table.next_due_ms(10), Some(1000));
    }

    #[test]
    fn too_many_go_early_and_the_oldest_of_the_agent_with_most_first() {
        let mut settings = settings();
        settings.kept_max = 8;
        let mut table = ApprovalTable::default();
        table.insert(record("quiet", State::Done, 0));
        for ms in 1..=9 {
            table.insert(record("busy", State::Done, ms));
        }
        assert_eq!(table.prune(9, &settings, 0).len(), 2);
        let left = left(&table);
        assert_eq!(left[0], ("busy".to_owned(), 3));
        assert_eq!(left.last().unwrap(), &("quiet".to_owned(), 0));
    }

    #[test]
    fn bytes_are_kept_within_their_limit_with_what_is_coming() {
        let mut settings = settings();
        let mut table = ApprovalTable::default();
        for ms in 0..8 {
            let mut ended = record("a", State::Done, ms);
            ended.result_bytes = 10_000;
            table.insert(ended);
        }
        let one = table.bytes() / 8;
        settings.kept_bytes_max = 4 * one;
        assert_eq!(table.prune(8, &settings, one).len(), 5);
        assert_eq!(table.bytes(), 3 * one);
        assert_eq!(left(&table)[0], ("a".to_owned(), 5));
    }

    #[test]
    fn open_ones_are_refused_by_bytes_for_one_agent_and_for_all() {
        let mut settings = settings();
        settings.kept_bytes_max = 800_000;
        let mut table = ApprovalTable::default();
        let mut open = record("a", State::Pending, 0);
        open.body_bytes = 90_000;
        table.insert(open);
        let full = |table: &ApprovalTable, principal, bytes| {
            let room = table.check_room(principal, 1, bytes, &settings);
            matches!(room, Err(RequestError::Full { .. }))
        };
        assert!(full(&table, "a", 20_000) && !full(&table, "a", 1_000));
        assert!(!full(&table, "b", 90_000));
        for principal in ["b", "c", "d", "e"] {
            let mut open = record(principal, State::Approved, 0);
            open.body_bytes = 75_000;
            table.insert(open);
        }
        assert!(full(&table, "f", 20_000));
    }
}
