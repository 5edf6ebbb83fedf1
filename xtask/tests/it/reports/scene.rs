//! A job of a workflow on this machine: the event, the artifacts of earlier jobs, both doubles, and a
//! repository for the history.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use super::super::stderr;
use super::github::GitHub;

pub const HEAD: &str = "0123456789abcdef0123456789abcdef01234567";
pub const BASE: &str = "89abcdef0123456789abcdef0123456789abcdef";
pub const KEY: &str = "bencher_run_secret123";
pub const TOKEN: &str = "ghs_secret456";

/// All that a job needs, in one temporary folder.
pub struct Scene {
    pub folder: tempfile::TempDir,
    pub github: GitHub,
    event: Json,
    environment: Vec<(String, String)>,
}

impl Scene {
    /// A job of `event`, with a key for Bencher and a token for GitHub.
    pub fn of(event: Json) -> Scene {
        let scene = Scene {
            folder: tempfile::tempdir().unwrap(),
            github: GitHub::start(),
            event,
            environment: Vec::new(),
        };
        let bin = scene.path("bin");
        std::fs::create_dir(&bin).unwrap();
        let double = Path::new(env!("CARGO_MANIFEST_DIR")).join("test_data/bencher/bencher");
        std::os::unix::fs::symlink(double, bin.join("bencher")).unwrap();
        git(
            scene.folder.path(),
            &["init", "--quiet", "--bare", "server"],
        );
        scene
            .with("BENCHER_API_KEY", KEY)
            .with("GITHUB_TOKEN", TOKEN)
            .with("GITHUB_ACTIONS", "true")
    }

    pub fn with(mut self, name: &str, value: &str) -> Scene {
        self.environment.retain(|(other, _)| other != name);
        if !value.is_empty() {
            self.environment.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Adds an artifact of an earlier job.
    pub fn left(self, job: &str, name: &str, text: &str) -> Scene {
        let folder = self.path("artifacts").join(job);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), text).unwrap();
        self
    }

    /// Adds earlier jobs on a branch to the history, with these values of `latency/p50`.
    pub fn history(self, branch: &str, p50_ms: impl IntoIterator<Item = f64>) -> Scene {
        let clone = self.path("clone");
        let file = clone.join("history.jsonl");
        std::fs::create_dir_all(&clone).unwrap();
        for (number, p50_ms) in p50_ms.into_iter().enumerate() {
            let run = self.path("past.json");
            let started = 1_000 + number as u64;
            std::fs::write(&run, run_text(started, p50_ms, &past(number))).unwrap();
            let output = super::super::xtask(&[
                "metrics",
                "history",
                "--file",
                file.to_str().unwrap(),
                "add",
                "--run",
                run.to_str().unwrap(),
                "--branch",
                branch,
            ]);
            assert!(output.status.success(), "{}", stderr(&output));
        }
        git(&clone, &["init", "--quiet"]);
        git(&clone, &["add", "."]);
        git(&clone, &["commit", "--quiet", "--message", "past"]);
        let server = self.path("server").display().to_string();
        git(
            &clone,
            &["push", "--quiet", &server, "HEAD:refs/heads/metrics-data"],
        );
        self
    }

    /// Runs a job, and waits for its end.
    pub fn run(&self, job: &str) -> Output {
        let (artifacts, server) = (self.path("artifacts"), self.path("server"));
        self.xtask(&[
            "ci",
            "--job",
            job,
            "--artifacts",
            artifacts.to_str().unwrap(),
            "--remote",
            server.to_str().unwrap(),
        ])
    }

    /// Runs a command with the event of this job.
    pub fn xtask(&self, arguments: &[&str]) -> Output {
        let started = Instant::now();
        let output = self.command(arguments).output().unwrap();
        assert!(started.elapsed() < Duration::from_secs(60), "it hung");
        self.keeps_secrets(&output);
        output
    }

    /// Runs a command beside this job, without its event.
    pub fn without_event(&self, arguments: &[&str]) -> Output {
        let output = self.bare_command(arguments).output().unwrap();
        self.keeps_secrets(&output);
        output
    }

    /// A command with the event of this job.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let event = self.path("event.json");
        std::fs::write(&event, self.event.to_string()).unwrap();
        let mut command = self.bare_command(arguments);
        command.arg("--event").arg(&event);
        command
    }

    fn bare_command(&self, arguments: &[&str]) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        for name in [
            "BENCHER_API_KEY",
            "BENCHER_API_TOKEN",
            "GITHUB_TOKEN",
            "GITHUB_ACTIONS",
            "GITHUB_EVENT_NAME",
        ] {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("CARGO_TARGET_DIR", self.path("target"))
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("GITHUB_REPOSITORY", "a/gate")
            .env("GITHUB_API_URL", &self.github.address)
            .env("GITHUB_STEP_SUMMARY", self.path("summary.md"))
            .env("DOUBLE_LOG", self.path("bencher.log"))
            .env("DOUBLE_MADE", self.path("bencher.made"))
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null());
        command
    }

    /// Checks that no secret was printed, saved, or passed as an argument.
    fn keeps_secrets(&self, output: &Output) {
        let mut texts = vec![
            String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr(output),
            self.summary(),
        ];
        texts.extend(
            self.calls()
                .iter()
                .map(|call| call["arguments"].to_string()),
        );
        for folder in [self.path("target/metrics"), self.path("server")] {
            texts.extend(all_files(&folder));
        }
        for text in texts {
            for secret in [KEY, TOKEN, "secret123", "secret456"] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }

    pub fn summary(&self) -> String {
        std::fs::read_to_string(self.path("summary.md")).unwrap_or_default()
    }

    /// The calls of `bencher`, with their arguments and the names of their secrets.
    pub fn calls(&self) -> Vec<Json> {
        let log = std::fs::read_to_string(self.path("bencher.log")).unwrap_or_default();
        log.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The value of a flag of the only report that was sent; empty for a flag without a value.
    pub fn reported(&self, flag: &str) -> Option<String> {
        let calls = self.calls();
        let reports: Vec<&Json> = calls
            .iter()
            .filter(|call| call["arguments"][0] == "run")
            .collect();
        assert_eq!(reports.len(), 1, "{calls:?}");
        let arguments = reports[0]["arguments"].as_array().unwrap();
        let place = arguments.iter().position(|argument| argument == flag)?;
        let value = arguments
            .get(place + 1)
            .and_then(Json::as_str)
            .unwrap_or_default();
        Some(value.to_owned())
    }

    /// A file on the branch of the history; empty if there is none.
    pub fn published(&self, name: &str) -> String {
        let output = Command::new("git")
            .arg("--git-dir")
            .arg(self.path("server"))
            .args(["show", &format!("metrics-data:{name}")])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// The lines of the history that was pushed.
    pub fn pushed(&self) -> Vec<Json> {
        let text = self.published("history.jsonl");
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn all_files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| {
            let path = entry.path();
            if path.is_dir() {
                all_files(&path)
            } else {
                let bytes = std::fs::read(&path).unwrap_or_default();
                vec![String::from_utf8_lossy(&bytes).into_owned()]
            }
        })
        .collect()
}

pub fn git(folder: &Path, arguments: &[&str]) {
    let who = [
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "commit.gpgSign=false",
    ];
    let output = Command::new("git")
        .args(who)
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

/// A run with the metrics `binary/size` and `latency/p50`.
pub fn run_text(started: u64, p50_ms: f64, revision: &str) -> String {
    let metric = |name: &str, unit: &str, value: Json, interval: Json| {
        json!({
            "name": name, "unit": unit,
            "outcome": {"measured": {"value": value, "interval": interval}},
        })
    };
    json!({
        "schema": 2, "rules": 1, "thresholds": {}, "seed": 7, "looks": {},
        "arms": [{"name": "head", "revision": revision, "parent": null, "sha256": revision, "rustc": null}],
        "started": started, "finished": started + 60, "complete": true, "quick": false, "tiers": [1],
        "host": {"os": "linux", "arch": "x86_64", "cpu_model": "AMD EPYC", "logical_cores": 4,
                 "memory_gib": 16, "kernel": "6.8.0", "governor": null, "virtualisation": null,
                 "image": null},
        "tools": {}, "git": {"revision": revision, "dirty": false},
        "subject": {"binary": "target/release/thoughtgate", "length": 9_000_000, "sha256": revision},
        "settings": {},
        "metrics": [
            metric("binary/size", "bytes", json!(9_000_000), Json::Null),
            metric("latency/p50", "ms", json!(p50_ms), json!([p50_ms * 0.99, p50_ms * 1.01])),
        ],
        "samples": [], "distributions": [], "raw": [],
    })
    .to_string()
}

/// The commit of an earlier job of the history.
pub fn past(number: usize) -> String {
    format!("{number:040x}")
}

/// Thirty jobs with the usual spread.
pub fn usual() -> impl Iterator<Item = f64> {
    (0..30).map(|number| 2.0 + f64::from(number * 7 % 11 - 5) * 0.004)
}

pub fn push(reference: &str) -> Json {
    json!({"ref": reference, "after": HEAD, "repository": {"full_name": "a/gate"}})
}

pub fn pull_request(from: &str) -> Json {
    json!({
        "action": "synchronize", "number": 7, "repository": {"full_name": "a/gate"},
        "pull_request": {
            "head": {"sha": HEAD, "ref": "main", "repo": {"full_name": from}},
            "base": {"sha": BASE, "ref": "main", "repo": {"full_name": "a/gate"}},
        },
    })
}

/// A comparison of `HEAD` with a smaller program.
pub fn comparison() -> String {
    session("larger_binary")
}

/// A recorded session, as one of `HEAD`.
pub fn session(name: &str) -> String {
    let path = super::super::data(&format!("comparisons/{name}.json"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut run: Json = serde_json::from_str(&text).unwrap();
    for arm in run["arms"].as_array_mut().unwrap() {
        if arm["name"] == "head" {
            arm["revision"] = json!(HEAD);
        }
    }
    run.to_string()
}

pub fn workflow_run() -> Json {
    json!({
        "action": "completed", "repository": {"full_name": "a/gate"},
        "workflow_run": {"head_sha": HEAD, "head_branch": "main", "event": "pull_request",
                         "head_repository": {"full_name": "mallory/gate"}},
    })
}
