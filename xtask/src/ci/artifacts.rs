//! Results of earlier jobs: their artifacts, and the history on its branch.
//!
//! Does not read a run or a history: whoever uses them does.

use std::path::{Path, PathBuf};

use crate::metrics::report::annotate;
use crate::tools::git::Repository;
use crate::workspace;

/// The branch that holds the history.
pub(super) const DATA: &str = "metrics-data";

/// Fetches the history from its branch. The folder stays empty before the first job, and, with a warning,
/// if the branch cannot be fetched.
pub(super) fn fetch_history(remote: &str, folder: &Path) -> anyhow::Result<()> {
    let repository = Repository::beside(&workspace::root()?, folder, remote);
    let taken = repository.and_then(|repository| repository.take(DATA));
    annotate::soft(taken, |error| format!("no history: {error:#}")).map(drop)
}

/// The files called `name` that jobs left, one folder per job, in the order of the folders' names.
pub(super) fn left(artifacts: &Path, name: &str) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(artifacts).into_iter().flatten().flatten();
    let files = folders.map(|folder| folder.path().join(name));
    // A link could lead out of the artifact, to any file of this machine.
    let mut files: Vec<PathBuf> = files
        .filter(|file| file.symlink_metadata().is_ok_and(|found| found.is_file()))
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_jobs_left_is_found_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        for job in ["metrics-load", "metrics-build"] {
            std::fs::create_dir(folder.path().join(job)).unwrap();
            std::fs::write(folder.path().join(job).join("run.json"), "{}").unwrap();
        }
        let hostile = folder.path().join("metrics-x");
        std::fs::create_dir(&hostile).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", hostile.join("run.json")).unwrap();
        let found = left(folder.path(), "run.json");
        let names: Vec<&str> = found
            .iter()
            .filter_map(|file| file.parent()?.file_name()?.to_str())
            .collect();
        assert_eq!(names, ["metrics-build", "metrics-load"]);
        assert!(left(&folder.path().join("nosuch"), "run.json").is_empty());
    }
}
