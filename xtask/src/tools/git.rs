//! git: which commit a workspace was checked out from. Knows nothing of metrics.
//!
//! Only plumbing is asked, whose output no setting changes. What git does not tell is none: a tarball
//! without a repository, or a machine without git, can be measured too.

mod repository;

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};

use super::process::{Launch, Output};

pub use repository::Repository;

/// For an answer from a repository's own files.
const ASK: Duration = Duration::from_secs(30);
/// For writing the files of a commit.
const CHECK_OUT: Duration = Duration::from_secs(300);

/// A commit that a workspace was checked out from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its name, in full.
    pub revision: String,
    /// The name of its first parent; none of the first commit, and where the history is cut off.
    pub parent: Option<String>,
    /// When it was made.
    pub time: SystemTime,
    /// Whether a tracked file of the workspace differs from it. Untracked files do not count: a run
    /// leaves its own results there.
    pub dirty: bool,
}

/// The commit that `workspace` was checked out from; none unless a repository tracks it.
pub fn commit(workspace: &Path) -> Option<Commit> {
    // A repository further up that does not know these files is somebody else's.
    ask(workspace, &["ls-files", "--error-unmatch", "Cargo.toml"])?;
    let head = ask(
        workspace,
        &[
            "rev-list",
            "--max-count=1",
            "--timestamp",
            "--parents",
            "HEAD",
        ],
    )?;
    let mut words = head.split_whitespace();
    let (seconds, revision) = (words.next()?, words.next()?);
    // Also of a workspace whose state cannot be told it must not be said that it is clean.
    let changes = ask(
        workspace,
        &["status", "--porcelain", "--untracked-files=no", "--", "."],
    );
    Some(Commit {
        revision: revision.to_owned(),
        parent: words.next().map(str::to_owned),
        time: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.parse().ok()?),
        dirty: changes.is_none_or(|changes| !changes.is_empty()),
    })
}

/// The branch that is checked out; none where none is.
pub fn branch(workspace: &Path) -> Option<String> {
    let told = ask(workspace, &["symbolic-ref", "--short", "--quiet", "HEAD"])?;
    Some(told.trim().to_owned())
}

/// The commit that a revision names, in full.
///
/// # Errors
/// No git, or a name that is none.
pub fn resolve(workspace: &Path, revision: &str) -> anyhow::Result<String> {
    let named = format!("{revision}^{{commit}}");
    let told = command(
        workspace,
        &["rev-parse", "--verify", "--end-of-options", &named],
    )
    .run(ASK)?;
    ensure!(
        told.status.success(),
        "`{revision}` is no revision here, nor a file: name a commit, a branch or a thoughtgate \
         executable (a shallow clone lacks older commits: `git fetch --unshallow`)"
    );
    Ok(told.stdout.text().trim().to_owned())
}

/// Where two histories parted; none where they share nothing, or one of them is not here.
pub fn merge_base(workspace: &Path, left: &str, right: &str) -> Option<String> {
    let told = ask(workspace, &["merge-base", left, right])?;
    Some(told.trim().to_owned())
}

/// The last release before a tag, by the commits that lead to it; none where there is none.
pub fn tag_before(workspace: &Path, tag: &str) -> Option<String> {
    let parent = format!("{tag}^");
    let told = ask(
        workspace,
        &["describe", "--tags", "--abbrev=0", "--match", "v*", &parent],
    )?;
    Some(told.trim().to_owned())
}

/// Checks a commit out into `folder`, beside the workspace's own checkout, unless it is there already.
pub fn check_out(workspace: &Path, commit: &str, folder: &Path) -> anyhow::Result<()> {
    if self::commit(folder).is_some_and(|found| found.revision == commit && !found.dirty) {
        return Ok(());
    }
    // What an earlier one left behind half made.
    let _ = std::fs::remove_dir_all(folder);
    let _ = command(workspace, &["worktree", "prune"]).run(ASK);
    let folder_text = folder.to_string_lossy();
    command(
        workspace,
        &[
            "worktree",
            "add",
            "--detach",
            "--force",
            &folder_text,
            commit,
        ],
    )
    .run(CHECK_OUT)
    .and_then(Output::success)
    .with_context(|| format!("failed to check out {commit}"))?;
    Ok(())
}

/// What git prints; none when it fails.
fn ask(workspace: &Path, arguments: &[&str]) -> Option<String> {
    let output = command(workspace, arguments)
        .run(ASK)
        .and_then(Output::success);
    output.ok().map(|output| output.stdout.text())
}

fn command(workspace: &Path, arguments: &[&str]) -> Launch {
    Launch::bare("git")
        // The files may belong to another user, as they do in a container: they are read alone, and
        // building them trusts them with more. Nothing is run that their repository names.
        .args(["-c", "safe.directory=*", "-c", "core.fsmonitor=false"])
        .arg("--no-optional-locks")
        .args(arguments)
        .directory(workspace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn git(folder: &Path, arguments: &[&str]) {
        let who = [
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "-c",
            "gc.auto=0",
        ];
        let output = Launch::bare("git").args(who).args(arguments);
        output
            .directory(folder)
            .run(ASK)
            .unwrap()
            .success()
            .unwrap();
    }

    /// A repository with one commit, of a workspace in `below`.
    fn repository(below: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path().join(below);
        std::fs::create_dir_all(&workspace).unwrap();
        std::fs::write(workspace.join("Cargo.toml"), "[workspace]\n").unwrap();
        git(folder.path(), &["init", "--quiet"]);
        git(folder.path(), &["add", "."]);
        git(folder.path(), &["commit", "--quiet", "--message", "first"]);
        folder
    }

    #[test]
    fn a_workspace_has_the_commit_of_the_repository_that_tracks_it() {
        for below in ["", "tools/gate"] {
            let folder = repository(below);
            let workspace = folder.path().join(below);
            let clean = commit(&workspace).unwrap();
            assert_eq!(clean.revision.len(), 40);
            assert!(!clean.dirty && clean.time > SystemTime::UNIX_EPOCH);
            std::fs::write(workspace.join("bench_metrics.json"), "[]").unwrap();
            assert_eq!(commit(&workspace), Some(clean.clone()));
            std::fs::write(workspace.join("Cargo.toml"), "[workspace]\n#\n").unwrap();
            assert_eq!(
                commit(&workspace),
                Some(Commit {
                    dirty: true,
                    ..clean
                })
            );
        }
    }

    #[test]
    fn a_workspace_that_no_repository_tracks_has_none() {
        let folder = repository("");
        let inner = folder.path().join("unpacked");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join("Cargo.toml"), "[workspace]\n").unwrap();
        assert_eq!(commit(&inner), None);
        assert_eq!(commit(tempfile::tempdir().unwrap().path()), None);
        assert_eq!(commit(&folder.path().join("missing")), None);
    }

    #[test]
    fn settings_of_the_repository_change_nothing() {
        let folder = repository("");
        let before = commit(folder.path()).unwrap();
        for (key, value) in [
            ("log.showSignature", "true"),
            ("log.date", "iso"),
            ("gpg.program", "/nowhere/gpg"),
            ("status.branch", "true"),
            ("color.ui", "always"),
            ("core.fsmonitor", "/nowhere/monitor"),
        ] {
            git(folder.path(), &["config", key, value]);
        }
        assert_eq!(commit(folder.path()), Some(before));
    }
}
