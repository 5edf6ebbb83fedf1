//! Decides when file changes have settled, so that a whole set is read and not half of an update.
//!
//! Works on times and kinds of changes; touches no file.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Quiet time after a swap. It is complete at once, but arrives as several events (two for a rename,
/// four for a symlink swap).
const SWAP_QUIET: Duration = Duration::from_millis(5);
/// Quiet time after an edit: other edits of the same update may follow.
const EDIT_QUIET: Duration = Duration::from_millis(100);
/// Quiet time after a loss: editors and git remove a file and write it again.
const LOSS_QUIET: Duration = Duration::from_secs(1);
/// Longest wait after the first change: a folder in which files change all the time is loaded too.
/// After it, each change is followed by a read. A set that lacks nothing is loaded at once, one that
/// lacks something when every read for a second has found it so.
const STARVED: Duration = Duration::from_secs(5);

/// An event that may require a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// SIGHUP.
    Asked,
    /// A whole set was put in place in one step: a file renamed into place, a link replaced.
    Swapped,
    /// One file of perhaps several was written, renamed, made or removed.
    Edited(PathBuf),
    /// A file is being written and is incomplete until it is closed.
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
    /// Time of the last read that found something missing.
    read: Instant,
    /// Start of the uninterrupted reads, after `STARVED`, that found something missing.
    lost_since: Option<Instant>,
}

impl Settling {
    /// Takes a change into account.
    pub fn note(&mut self, change: &Change, now: Instant) {
        let quiet = match change {
            Change::Writing(path) => {
                self.writing.insert(path.clone());
                // A write alone starts no batch: only a finished change is worth a load.
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
        // A swap among edits may be one step of an update that is made file by file.
        batch.quiet = batch.quiet.max(quiet);
        batch.asked |= *change == Change::Asked;
    }

    /// The time of the next load if no change comes before; `None` when there is nothing to load.
    pub fn due(&self) -> Option<Instant> {
        let batch = self.batch.as_ref()?;
        let starved = batch.first + STARVED;
        Some(if batch.asked {
            // An operator who sends SIGHUP says that the files are complete.
            batch.last + SWAP_QUIET
        } else if let Some(lost_since) = batch.lost_since {
            let lasting = lost_since + LOSS_QUIET;
            // A change since the last read may have brought back what was missing, so it is read soon.
            if batch.last > batch.read {
                lasting.min(batch.last + SWAP_QUIET)
            } else {
                lasting
            }
        } else if self.writing.is_empty() {
            starved.min(batch.last + batch.quiet)
        } else {
            // A file that is open for writing is incomplete until it is closed, but cannot delay the load for
            // ever.
            starved
        })
    }

    /// Takes note that the set read at `now` lacks something. Returns whether to wait for it.
    pub fn wait_for_lost(&mut self, now: Instant) -> bool {
        let Some(batch) = &mut self.batch else {
            return false;
        };
        // An operator asked, or the set was replaced whole: what is missing is meant to be.
        if batch.asked || batch.quiet == SWAP_QUIET {
            return false;
        }
        batch.read = now;
        if now < batch.first + STARVED {
            // The longer quiet time is also the mark that it has been waited for once.
            return std::mem::replace(&mut batch.quiet, LOSS_QUIET) == EDIT_QUIET;
        }
        now < *batch.lost_since.get_or_insert(now) + LOSS_QUIET
    }

    /// Ends the batch after a load. Returns whether an operator had asked for it.
    pub fn done(&mut self) -> bool {
        // A writer that never closes its file must not delay all later loads, too.
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
