//! When changes of files have settled, so that what is read is a whole set.
//!
//! Knows times and kinds of changes, and no file.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A swap is whole at once; it is often several events (a rename is two, a symlink swap four).
const SWAP_QUIET: Duration = Duration::from_millis(5);
/// After an edit others of the same update may follow.
const EDIT_QUIET: Duration = Duration::from_millis(100);
/// After a loss what was lost may come back: editors and git remove a file and write it again.
const LOSS_QUIET: Duration = Duration::from_secs(1);
/// A folder in which something changes all the time is loaded all the same, this long after the
/// first change. From then on each change is followed by a read, and the first set that lacks nothing
/// is loaded; one that lacks something, once all reads of a second have found it so.
const STARVED: Duration = Duration::from_secs(5);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// An operator asks for a reload.
    Asked,
    /// A whole set was put in place in one step: a file renamed into place, a link exchanged.
    Swapped,
    /// One file of perhaps several was written, renamed, made or removed.
    Edited(PathBuf),
    /// A file is being written; it is half written until it is closed.
    Writing(PathBuf),
}

/// Changes since the last load.
#[derive(Debug, Default)]
pub struct Settling {
    batch: Option<Batch>,
    writing: HashSet<PathBuf>,
}

#[derive(Debug)]
struct Batch {
    first: Instant,
    last: Instant,
    quiet: Duration,
    asked: bool,
    /// When files were read last and something was missing.
    read: Instant,
    /// Since when each read past the limit has found something missing.
    lost_since: Option<Instant>,
}

impl Settling {
    /// Takes a change into account.
    pub fn note(&mut self, change: &Change, now: Instant) {
        let quiet = match change {
            Change::Writing(path) => {
                self.writing.insert(path.clone());
                // Loaded only when something was finished.
                if let Some(batch) = &mut self.batch {
                    batch.last = now;
                }
                return;
            }
            Change::Edited(path) => {
                self.writing.remove(path);
                EDIT_QUIET
            }
            Change::Asked | Change::Swapped => SWAP_QUIET,
        };
        let batch = self.batch.get_or_insert(Batch {
            first: now,
            last: now,
            quiet,
            asked: false,
            read: now,
            lost_since: None,
        });
        batch.last = now;
        batch.quiet = batch.quiet.max(quiet);
        batch.asked |= *change == Change::Asked;
    }

    /// When to load, if nothing else happens; `None` when there is nothing to load.
    pub fn due(&self) -> Option<Instant> {
        let batch = self.batch.as_ref()?;
        let starved = batch.first + STARVED;
        Some(if batch.asked {
            batch.last + SWAP_QUIET
        } else if let Some(lost_since) = batch.lost_since {
            let lasting = lost_since + LOSS_QUIET;
            if batch.last > batch.read {
                lasting.min(batch.last + SWAP_QUIET)
            } else {
                lasting
            }
        } else if self.writing.is_empty() {
            starved.min(batch.last + batch.quiet)
        } else {
            starved
        })
    }

    /// What was read at `now` lacks something: whether to wait for it.
    pub fn wait_for_lost(&mut self, now: Instant) -> bool {
        let Some(batch) = &mut self.batch else {
            return false;
        };
        if batch.asked || batch.quiet == SWAP_QUIET {
            return false;
        }
        batch.read = now;
        if now < batch.first + STARVED {
            return std::mem::replace(&mut batch.quiet, LOSS_QUIET) == EDIT_QUIET;
        }
        now < *batch.lost_since.get_or_insert(now) + LOSS_QUIET
    }

    /// A load was made; whether an operator had asked for it.
    pub fn done(&mut self) -> bool {
        self.writing.clear();
        self.batch.take().is_some_and(|batch| batch.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "a.cedar";

    fn edited() -> Change {
        Change::Edited(PathBuf::from(FILE))
    }

    /// Milliseconds after the first of `changes` (each with its own) at which a load is due.
    fn due(changes: &[(u64, Change)]) -> Option<u128> {
        let start = Instant::now();
        let mut settling = Settling::default();
        for (at, change) in changes {
            settling.note(change, start + Duration::from_millis(*at));
        }
        settling.due().map(|due| (due - start).as_millis())
    }

    #[test]
    fn each_kind_of_change_has_its_quiet() {
        let writing = Change::Writing(PathBuf::from(FILE));
        for (changes, expected) in [
            (&[][..], None),
            (&[(0, Change::Swapped)], Some(5)),
            (&[(0, Change::Asked)], Some(5)),
            (&[(0, edited())], Some(100)),
            (&[(0, edited()), (90, edited())], Some(190)),
            (&[(0, edited()), (90, Change::Swapped)], Some(190)),
            (&[(0, edited()), (90, Change::Asked)], Some(95)),
            (&[(0, edited()), (4_950, edited())], Some(5_000)),
            (&[(0, writing.clone())], None),
            (&[(0, Change::Swapped), (3, writing.clone())], Some(5_000)),
            (&[(0, writing), (10, edited())], Some(110)),
        ] {
            assert_eq!(due(changes), expected, "{changes:?}");
        }
    }

    #[test]
    fn a_loss_past_the_limit_is_loaded_when_all_reads_of_a_second_find_it() {
        let start = Instant::now();
        let mut settling = Settling::default();
        settling.note(&edited(), start);
        settling.note(&edited(), start + Duration::from_millis(4_950));
        let limit = start + STARVED;
        assert_eq!(settling.due(), Some(limit));
        assert!(settling.wait_for_lost(limit));
        // The next change is read at once: it may have brought back what was missing.
        assert_eq!(settling.due(), Some(limit + LOSS_QUIET));
        let later = limit + LOSS_QUIET / 2;
        settling.note(&edited(), later);
        assert_eq!(settling.due(), Some(later + SWAP_QUIET));
        assert!(settling.wait_for_lost(later + SWAP_QUIET));
        assert_eq!(settling.due(), Some(limit + LOSS_QUIET));
        assert!(!settling.wait_for_lost(limit + LOSS_QUIET));
    }

    #[test]
    fn a_loss_is_waited_for_once() {
        let start = Instant::now();
        let mut settling = Settling::default();
        settling.note(&edited(), start);
        assert!(settling.wait_for_lost(start + EDIT_QUIET));
        assert_eq!(settling.due(), Some(start + LOSS_QUIET));
        assert!(!settling.wait_for_lost(start + LOSS_QUIET));
        assert!(!settling.done());
        for whole in [Change::Swapped, Change::Asked] {
            let mut settling = Settling::default();
            settling.note(&whole, start);
            assert!(!settling.wait_for_lost(start + SWAP_QUIET), "{whole:?}");
            assert_eq!(settling.done(), whole == Change::Asked);
        }
    }
}
