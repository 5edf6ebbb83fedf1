//! A list on disk of what a run has created, for the next run to clean up. It is for the case in which
//! the reaper dies too: when xtask is process 1, as in a container, and is killed.
//!
//! A list that nobody holds locked belongs to a run that has ended. A process id would not prove that:
//! ids are used again, and processes in other namespaces cannot be seen.

use std::fs::{self, File, TryLockError};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::reaper;

/// The list of this run; unset before [`begin`], or when it cannot be written.
static OWN: OnceLock<Mutex<File>> = OnceLock::new();
/// File name extension of a list that has been locked.
const ENDING: &str = "list";

/// Removes what killed runs left behind, by their lists in `folder`, and begins the list of this run.
/// Without a list a run goes on, only without this safety net.
pub fn begin(folder: &Path) {
    sweep(folder);
    if let Some(file) = create(folder) {
        // Never dropped: the lock says that this run goes on, and the kernel releases it with the process.
        let _ = OWN.set(Mutex::new(file));
    }
}

/// Adds a line such as `+container NAME`.
pub(super) fn note(line: &str) {
    if let Some(file) = OWN.get() {
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        // A line that cannot be written only costs the cleanup by the next run.
        let _ = writeln!(file, "{line}");
    }
}

fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|ending| ending != ENDING) {
            continue;
        }
        let Ok(mut file) = File::open(&path) else {
            continue;
        };
        let mut text = String::new();
        match file.try_lock() {
            // The run that holds the lock still goes on.
            Err(TryLockError::WouldBlock) => continue,
            // Without working locks, a list may be that of a run that is still going on.
            Err(TryLockError::Error(_)) => return,
            Ok(()) => drop(file.read_to_string(&mut text)),
        }
        reaper::remove(text.lines());
        // The list goes last: a sweep that is cut off is repeated by the next run, which does no harm.
        let _ = fs::remove_file(path);
    }
}

/// Creates a locked file. It gets its name only once it is locked, so that no other run takes it for the
/// list of a killed run.
fn create(folder: &Path) -> Option<File> {
    fs::create_dir_all(folder).ok()?;
    let new = tempfile::Builder::new().prefix("run-").tempfile_in(folder);
    let new = new.ok()?;
    new.as_file().try_lock().ok()?;
    let path = new.path().with_extension(ENDING);
    new.persist_noclobber(path).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_run_left_is_removed_and_what_another_run_holds_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let lists = folder.path().join("lists");
        let made = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        let (left, held, gone) = (made("left"), made("held"), made("gone"));
        let list = |text: String| {
            let mut file = create(&lists).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file
        };
        let ended = list(format!(
            "+folder {}\n+folder {}\n-folder {}\n",
            left.display(),
            gone.display(),
            gone.display()
        ));
        let _running = list(format!("+folder {}\n", held.display()));
        // A child that another test is just starting may hold a copy of the file, and with it the lock.
        ended.unlock().unwrap();
        drop(ended);
        sweep(&lists);
        assert!(!left.exists() && held.exists() && gone.exists());
        assert_eq!(fs::read_dir(&lists).unwrap().count(), 1);
    }
}
