//! git: the commit of a workspace, revisions, tags and worktrees. Knows nothing of metrics.
//!
//! Only commands whose output no setting changes are used. Information that git cannot give is `None`: a
//! tarball without a repository, or a machine without git, can be measured, too.

mod command;
mod repository;

use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};

use super::process::Output;
use command::{ASK, ask, command};

pub use repository::Repository;

/// Time limit of a checkout, which writes all files of a commit.
const CHECK_OUT: Duration = Duration::from_secs(300);

/// A commit that a workspace was checked out from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The full id of the commit.
    pub revision: String,
    /// The id of its first parent; `None` for the first commit, and where a shallow clone ends.
    pub parent: Option<String>,
    /// The committer's time.
    pub time: SystemTime,
    /// Whether a tracked file of the workspace differs from the commit. Untracked files do not count: a run
    /// leaves its own results in the workspace.
    pub dirty: bool,
}

/// The commit that `workspace` was checked out from; `None` unless a repository tracks its files.
pub fn commit(workspace: &Path) -> Option<Commit> {
    // A repository further up that does not track these files is not that of the workspace.
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
    // If the state cannot be read, the workspace counts as modified: it must not pass as clean.
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

/// The branch that is checked out; `None` on a detached HEAD.
pub fn branch(workspace: &Path) -> Option<String> {
    let told = ask(workspace, &["symbolic-ref", "--short", "--quiet", "HEAD"])?;
    Some(told.trim().to_owned())
}

/// The full id of the commit that a revision names.
///
/// # Errors
/// git is missing, or the revision does not exist.
pub fn resolve(workspace: &Path, revision: &str) -> anyhow::Result<String> {
    let named = format!("{revision}^{{commit}}");
    let told = command(
        workspace,
        &["rev-parse", "--verify", "--end-of-options", &named],
    )?
    .run(ASK)?;
    ensure!(
        told.status.success(),
        "`{revision}` is neither a revision of this repository nor a file: give a commit, a branch or a \
         thoughtgate executable (a shallow clone lacks older commits: run `git fetch --unshallow`)"
    );
    Ok(told.stdout.text().trim().to_owned())
}

/// The merge base of two commits; `None` if they have none, or the repository lacks one of them.
pub fn merge_base(workspace: &Path, left: &str, right: &str) -> Option<String> {
    let told = ask(workspace, &["merge-base", left, right])?;
    Some(told.trim().to_owned())
}

/// The last release (`v*`) among the ancestors of a tag; `None` if there is none.
pub fn tag_before(workspace: &Path, tag: &str) -> Option<String> {
    // From the parent on, or else `describe` would find the tag itself.
    let parent = format!("{tag}^");
    let told = ask(
        workspace,
        &["describe", "--tags", "--abbrev=0", "--match", "v*", &parent],
    )?;
    Some(told.trim().to_owned())
}

/// Checks a commit out into `folder`, beside the workspace's own checkout, unless `folder` has it already.
pub fn check_out(workspace: &Path, commit: &str, folder: &Path) -> anyhow::Result<()> {
    if self::commit(folder).is_some_and(|found| found.revision == commit && !found.dirty) {
        return Ok(());
    }
    // An interrupted checkout may have left a part of it.
    let _ = std::fs::remove_dir_all(folder);
    // Errors are ignored: `worktree add` fails on whatever is still in the way, and names it.
    let _ = ask(workspace, &["worktree", "prune"]);
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
    )?
    .run(CHECK_OUT)
    .and_then(Output::success)
    .with_context(|| format!("failed to check out {commit}"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::process::Launch;

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
