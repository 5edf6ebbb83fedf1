//! One branch of a remote repository in a folder of its own, to add files to it without touching the
//! checkout.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::command::{ask, command};
use crate::tools::process::{Launch, Output};

/// Time limit of a command that contacts the remote.
const REMOTE: Duration = Duration::from_secs(120);
/// Time limit of a command that only works in the folder.
const LOCAL: Duration = Duration::from_secs(60);
/// Exit code of `ls-remote --exit-code` if the branch does not exist.
const NO_SUCH_BRANCH: i32 = 2;
/// Messages of git if somebody else pushed first.
const FASTER: [&str; 5] = [
    "(fetch first)",
    "(non-fast-forward)",
    "(stale info)",
    "cannot lock ref",
    "failed to update ref",
];

/// Hooks of the user are for the user's own commits.
const NO_HOOKS: &str = "core.hooksPath=/dev/null";

/// A local repository for one branch of another.
pub struct Repository {
    folder: PathBuf,
    /// Without the password that it may have contained.
    url: String,
    /// `USER:PASSWORD` for the URL: of the URL itself, or the token of the job.
    secret: Option<String>,
}

impl Repository {
    /// Creates an empty repository in `folder`. `remote` is the name of a remote of `workspace`, or the
    /// address of a repository.
    pub fn beside(workspace: &Path, folder: &Path, remote: &str) -> anyhow::Result<Repository> {
        let known = ask(workspace, &["remote", "get-url", "--", remote]);
        let is_address = remote.contains('/');
        let url = match known {
            Some(url) => url.trim().to_owned(),
            None if is_address => remote.to_owned(),
            None => {
                bail!("this checkout has no remote `{remote}`: give one of `git remote`, or a URL")
            }
        };
        let (url, secret) = without_secret(&url);
        let token = std::env::var("GITHUB_TOKEN").ok();
        let token = token.filter(|token| !token.is_empty() && url.starts_with("https://"));
        let repository = Repository {
            folder: folder.to_path_buf(),
            secret: secret.or_else(|| token.map(|token| format!("x-access-token:{token}"))),
            url,
        };
        repository.local(&["init", "--quiet"])?;
        Ok(repository)
    }

    /// Replaces the files in the folder by those of the branch; empties it if there is no such branch yet.
    pub fn take(&self, branch: &str) -> anyhow::Result<()> {
        let reference = format!("refs/heads/{branch}");
        let found = self
            .remote(&["ls-remote", "--exit-code", &self.url, &reference])?
            .run(REMOTE)?;
        if found.status.code() == Some(NO_SUCH_BRANCH) {
            // The next commit has no parents: it becomes the first of the branch.
            self.local(&["checkout", "--quiet", "--orphan", "new"])
                .map(drop)?;
            return self.empty();
        }
        found
            .success()
            .with_context(|| format!("failed to look for the branch `{branch}`"))?;
        // One commit suffices: files are added to its state, and its history is never read.
        self.remote(&["fetch", "--quiet", "--depth", "1", &self.url, &reference])?
            .run(REMOTE)
            .and_then(Output::success)
            .with_context(|| format!("failed to fetch the branch `{branch}`"))?;
        self.local(&["checkout", "--quiet", "--force", "--detach", "FETCH_HEAD"])?;
        self.local(&["clean", "-d", "--force", "--quiet"]).map(drop)
    }

    /// Commits the files in the folder, and pushes the commit to the branch. Returns false if somebody else
    /// pushed first.
    pub fn push(&self, branch: &str, message: &str) -> anyhow::Result<bool> {
        // Files that the user ignores everywhere are added too.
        self.local(&["add", "--all", "--force", "."])?;
        if self.local(&["status", "--porcelain"])?.is_empty() {
            return Ok(true);
        }
        // Identity, signing and hooks are fixed, so that the commit does not depend on the user's settings.
        self.local(&[
            "-c",
            "user.name=thoughtgate metrics",
            "-c",
            "user.email=metrics@thoughtgate.invalid",
            "-c",
            "commit.gpgSign=false",
            "-c",
            NO_HOOKS,
            "commit",
            "--quiet",
            "--no-verify",
            "--message",
            message,
        ])?;
        let target = format!("HEAD:refs/heads/{branch}");
        let pushed = self
            .remote(&[
                "-c",
                NO_HOOKS,
                "-c",
                "push.gpgSign=false",
                "push",
                "--quiet",
                &self.url,
                &target,
            ])?
            .run(REMOTE)?;
        if pushed.status.success() {
            return Ok(true);
        }
        let said = pushed.stderr.text();
        if FASTER.iter().any(|sign| said.contains(sign)) {
            return Ok(false);
        }
        pushed
            .success()
            .map(|_| false)
            .with_context(|| format!("failed to push to the branch `{branch}`"))
    }

    fn empty(&self) -> anyhow::Result<()> {
        let entries = std::fs::read_dir(&self.folder)
            .with_context(|| format!("failed to read `{}`", self.folder.display()))?;
        for entry in entries.flatten() {
            if entry.file_name() == ".git" {
                continue;
            }
            let path = entry.path();
            let removed = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            removed.with_context(|| format!("failed to remove `{}`", path.display()))?;
        }
        self.local(&["read-tree", "--empty"]).map(drop)
    }

    fn local(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = command(&self.folder, arguments)?.run(LOCAL)?;
        Ok(output.success()?.stdout.text())
    }

    /// A command that contacts the remote. The token of a job is passed in the environment, which no other
    /// user of the machine can read, unlike a command line.
    fn remote(&self, arguments: &[&str]) -> anyhow::Result<Launch> {
        // Without this variable, git would wait at a terminal for a password.
        let launch = command(&self.folder, arguments)?.env("GIT_TERMINAL_PROMPT", "0");
        let Some(secret) = &self.secret else {
            return Ok(launch);
        };
        let secret = BASE64_STANDARD.encode(secret);
        let launch = launch
            .env("GIT_CONFIG_COUNT", "1")
            .env("GIT_CONFIG_KEY_0", format!("http.{}.extraHeader", self.url))
            .env(
                "GIT_CONFIG_VALUE_0",
                format!("Authorization: Basic {secret}"),
            );
        Ok(launch)
    }
}

/// A URL without its user and password, and these: git would show them to every user of the machine, on
/// its command line, and in messages.
fn without_secret(url: &str) -> (String, Option<String>) {
    let Some((scheme, rest)) = url.split_once("://") else {
        return (url.to_owned(), None);
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    match authority.rsplit_once('@') {
        Some((user, host)) if user.contains(':') && scheme.starts_with("http") => {
            (format!("{scheme}://{host}/{path}"), Some(user.to_owned()))
        }
        _ => (url.to_owned(), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    /// A bare repository, in the place of a server.
    fn server() -> tempfile::TempDir {
        let server = folder();
        command(server.path(), &["init", "--quiet", "--bare"])
            .unwrap()
            .run(LOCAL)
            .unwrap()
            .success()
            .unwrap();
        server
    }

    fn at(server: &tempfile::TempDir, folder: &tempfile::TempDir) -> Repository {
        let address = server.path().to_string_lossy().into_owned();
        Repository::beside(folder.path(), folder.path(), &address).unwrap()
    }

    #[test]
    fn a_branch_begins_empty_and_grows_and_somebody_else_may_be_faster() {
        let (server, one, two) = (server(), folder(), folder());
        let (first, second) = (at(&server, &one), at(&server, &two));
        first.take("data").unwrap();
        std::fs::write(one.path().join("a"), "1").unwrap();
        assert!(first.push("data", "first").unwrap());
        second.take("data").unwrap();
        assert_eq!(std::fs::read_to_string(two.path().join("a")).unwrap(), "1");
        // The first one is faster.
        std::fs::write(one.path().join("b"), "2").unwrap();
        assert!(first.push("data", "second").unwrap());
        std::fs::write(two.path().join("c"), "3").unwrap();
        assert!(!second.push("data", "third").unwrap());
        second.take("data").unwrap();
        assert!(
            !two.path().join("c").exists(),
            "what was not pushed is gone"
        );
        std::fs::write(two.path().join("c"), "3").unwrap();
        assert!(second.push("data", "third").unwrap());
        first.take("data").unwrap();
        for name in ["a", "b", "c"] {
            assert!(one.path().join(name).exists(), "{name}");
        }
    }

    #[test]
    fn a_password_is_no_part_of_the_url() {
        let without = |url| without_secret(url);
        let secret = Some("x:pw@1".to_owned());
        let url = "https://host/a/gate".to_owned();
        assert_eq!(without("https://x:pw@1@host/a/gate"), (url, secret));
        for plain in [
            "/a/b",
            "git@host:a/b",
            "ssh://git@host/a",
            "https://host/a@b",
        ] {
            assert_eq!(without(plain), (plain.to_owned(), None));
        }
    }

    #[test]
    fn a_remote_that_is_not_there_is_an_error_and_no_empty_branch() {
        let folder = folder();
        let gone = folder.path().join("gone").to_string_lossy().into_owned();
        let repository = Repository::beside(folder.path(), folder.path(), &gone).unwrap();
        let error = format!("{:#}", repository.take("data").unwrap_err());
        assert!(
            error.contains("failed to look for the branch `data`"),
            "{error}"
        );
        let error = Repository::beside(folder.path(), folder.path(), "nosuch")
            .err()
            .unwrap();
        assert!(error.to_string().contains("no remote `nosuch`"));
    }
}
