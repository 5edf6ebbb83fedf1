//! How much may be kept, in approvals and in bytes, and which goes first when that is spent. Open
//! approvals are refused rather than dropped, ended ones dropped; one agent's cannot push out what
//! others need.

use std::collections::HashMap;

use crate::book::{Book, Entry};
use crate::core::millis;
use crate::error::RequestError;
use crate::ids::Id;
use crate::settings::Settings;

/// Open approvals may take this part of `kept_bytes_max`, so that results always find room.
const OPEN_PART: usize = 2;

/// One agent's open approvals may take this part of it; of ended ones, those of agents that have
/// more than this part go first.
pub(crate) const AGENT_PART: usize = 8;

impl Book {
    /// Whether `principal` may have so many `more` open approvals, of so many bytes, or so many bytes
    /// more of those that are open.
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

    /// Forgets what ended longer ago than it is kept, and then as many ended approvals as it takes
    /// for the limits to hold with `coming` bytes more.
    pub(crate) fn prune(&mut self, now_ms: u64, settings: &Settings, coming: usize) -> Vec<Id> {
        let retention_ms = millis(settings.retention);
        let is_old = |entry: &Entry| {
            let until = entry.record.updated_ms.saturating_add(retention_ms);
            !entry.record.state.is_open() && until <= now_ms
        };
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

    /// Ended approvals in the order in which they go: the oldest of agents with more than `share`
    /// until they have no more than that, then the oldest of all.
    fn ended(&self, weight: impl Fn(&Entry) -> usize, share: usize) -> Vec<Id> {
        let is_ended = |entry: &&Entry| !entry.record.state.is_open();
        let mut ended: Vec<&Entry> = self.entries().filter(is_ended).collect();
        ended.sort_unstable_by_key(|entry| (entry.record.updated_ms, entry.record.id));
        let mut sums: HashMap<&str, usize> = HashMap::new();
        for entry in &ended {
            *sums.entry(&entry.record.principal).or_default() += weight(entry);
        }
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
    use crate::record::{Record, State};
    use crate::{Secret, SlackSettings, StoreLocation};

    fn settings() -> Settings {
        let slack = SlackSettings::new(Secret::new("x"), "C1");
        let mut settings = Settings::new(StoreLocation::Memory, slack);
        settings.retention = Duration::from_millis(10);
        settings
    }

    /// An approval of `principal` that last changed at `ms`.
    fn record(principal: &str, state: State, ms: u64) -> Record {
        let mut record = crate::book::tests::record(principal, state, 1000);
        record.principal = principal.to_owned();
        record.updated_ms = ms;
        record
    }

    fn left(book: &Book) -> Vec<(String, u64)> {
        let mut left: Vec<(String, u64)> = book
            .records()
            .map(|record| (record.principal.clone(), record.updated_ms))
            .collect();
        left.sort();
        left
    }

    #[test]
    fn only_ended_approvals_are_forgotten() {
        let mut settings = settings();
        let mut book = Book::default();
        for state in [State::Done, State::Pending, State::Executing] {
            book.insert(record("a", state, 0));
        }
        assert!(book.prune(9, &settings, 0).is_empty());
        assert_eq!(book.prune(10, &settings, 0).len(), 1);
        settings.kept_max = 0;
        settings.kept_bytes_max = 0;
        assert_eq!(book.prune(9999, &settings, 0).len(), 0);
        assert_eq!(book.len(), 2);
        assert_eq!(book.next_due_ms(10), Some(1000));
    }

    #[test]
    fn too_many_go_early_and_the_oldest_of_the_agent_with_most_first() {
        let mut settings = settings();
        settings.kept_max = 8;
        let mut book = Book::default();
        book.insert(record("quiet", State::Done, 0));
        for ms in 1..=9 {
            book.insert(record("busy", State::Done, ms));
        }
        assert_eq!(book.prune(9, &settings, 0).len(), 2);
        let left = left(&book);
        assert_eq!(left[0], ("busy".to_owned(), 3));
        assert_eq!(left.last().unwrap(), &("quiet".to_owned(), 0));
    }

    #[test]
    fn bytes_are_kept_within_their_limit_with_what_is_coming() {
        let mut settings = settings();
        let mut book = Book::default();
        for ms in 0..8 {
            let mut ended = record("a", State::Done, ms);
            ended.result_bytes = 10_000;
            book.insert(ended);
        }
        let one = book.bytes() / 8;
        settings.kept_bytes_max = 4 * one;
        assert_eq!(book.prune(8, &settings, one).len(), 5);
        assert_eq!(book.bytes(), 3 * one);
        assert_eq!(left(&book)[0], ("a".to_owned(), 5));
    }

    #[test]
    fn open_ones_are_refused_by_bytes_for_one_agent_and_for_all() {
        let mut settings = settings();
        settings.kept_bytes_max = 800_000;
        let mut book = Book::default();
        let mut open = record("a", State::Pending, 0);
        open.body_bytes = 90_000;
        book.insert(open);
        let full = |book: &Book, principal, bytes| {
            let room = book.check_room(principal, 1, bytes, &settings);
            matches!(room, Err(RequestError::Full { .. }))
        };
        assert!(full(&book, "a", 20_000) && !full(&book, "a", 1_000));
        assert!(!full(&book, "b", 90_000));
        for principal in ["b", "c", "d", "e"] {
            let mut open = record(principal, State::Approved, 0);
            open.body_bytes = 75_000;
            book.insert(open);
        }
        assert!(full(&book, "f", 20_000));
    }
}
