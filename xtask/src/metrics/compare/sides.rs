//! The two programs of a comparison: named by a revision or a path, built apart from each other, and
//! started with one configuration.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

use super::order::ARMS;
use crate::metrics::digest;
use crate::metrics::judge::paired::{BASE, CONTROL, HEAD};
use crate::metrics::model::Arm;
use crate::metrics::scenario::SubjectFiles;
use crate::metrics::subject::{self, Subject};
use crate::progress::Progress;
use crate::tools::criterion::Benchmark;
use crate::tools::subject::{Proxy, Setup, Upstream};
use crate::tools::unavailable::Unavailable;
use crate::tools::{cargo, git};

/// The branch that changes are compared with by default.
const MAIN: &str = "origin/main";

/// Variants of a build.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Build {
    /// In a second target directory, apart from the first build.
    pub again: bool,
    /// With the feature `slowdown`, by which a calibration slows the program down.
    pub slowdown: bool,
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    Binary(PathBuf),
    Commit(String),
    /// The files of the checkout as they are.
    WorkingTree,
}

/// Both programs, and their configurations.
pub struct Sides {
    base: Subject,
    /// The base again: the same executable, or a second build of it.
    control: Subject,
    head: Subject,
    files: SubjectFiles,
    /// The base's own configuration, if it refuses that of the head.
    base_files: Option<SubjectFiles>,
    /// The slowdown of the head in a calibration; else empty.
    pub slowdown: String,
}

impl Side {
    /// The side that `named` means: an executable if such a file exists, else a revision of `workspace`.
    pub fn named(workspace: &Path, named: &str) -> anyhow::Result<Side> {
        if Path::new(named).is_file() {
            return Ok(Side::Binary(subject::given(Path::new(named))?));
        }
        Ok(Side::Commit(git::resolve(workspace, named)?))
    }

    /// The commit where the working tree branched off the main branch.
    pub fn merge_base(workspace: &Path) -> anyhow::Result<Side> {
        let Some(base) = git::merge_base(workspace, MAIN, "HEAD") else {
            bail!("there is no merge base with `{MAIN}`: fetch it, or name a base with --base");
        };
        let head = git::commit(workspace);
        // Uncommitted changes are a head to judge, although the commit is the base's.
        let is_same = head.is_some_and(|head| head.revision == base && !head.dirty);
        ensure!(
            !is_same,
            "the checkout has no changes beyond `{MAIN}`: name a base with --base"
        );
        Ok(Side::Commit(base))
    }

    /// Builds the program, unless an executable was given, and copies it aside.
    pub fn subject(
        &self,
        label: &str,
        build: Build,
        (workspace, place): (&Path, &Path),
        progress: &Progress,
    ) -> anyhow::Result<Subject> {
        let stores = [place.join("subjects")];
        if let Side::Binary(path) = self {
            return Subject::given(label, path, path, &stores);
        }
        let (checkout, target) = self.source(workspace, place)?;
        // A folder of its own, in which cargo builds everything a second time.
        let target = if build.again {
            target.with_file_name("target-again")
        } else {
            target
        };
        let features: &[&str] = if build.slowdown { &["slowdown"] } else { &[] };
        let kept = self.kept(build, &checkout, &target);
        let executable = match &kept {
            Some(kept) if kept.exists() => kept.clone(),
            _ => {
                let _step = progress.step(&format!("building {label} ({self})"), 0.0);
                cargo::build_comparable(&checkout, &target, features)
                    .with_context(|| format!("failed to build {label} ({self})"))?
            }
        };
        if let Some(kept) = kept.filter(|kept| !kept.exists()) {
            keep(&executable, &kept)?;
        }
        Subject::built(label, &checkout, &executable, &stores)
    }

    /// Where what is built of a commit is kept, by compiler: CI restores it without the rest of the target
    /// directory, from which cargo would build it anew.
    fn kept(&self, build: Build, checkout: &Path, target: &Path) -> Option<PathBuf> {
        let compiler = cargo::rustc_version(checkout)?;
        // The files of a working tree change under the same name, so that what was built of it is not kept.
        let is_plain = matches!(self, Side::Commit(_)) && build == Build::default();
        let compiler = digest::sha256(compiler.as_bytes());
        let folder = target
            .with_file_name("built")
            .join(digest::short(&compiler));
        is_plain.then(|| folder.join("thoughtgate"))
    }

    /// Builds the program's benchmark of policy evaluations.
    pub fn benchmark(&self, workspace: &Path, place: &Path) -> anyhow::Result<Benchmark> {
        let (checkout, target) = self.source(workspace, place)?;
        Benchmark::build_apart(&checkout, &target)
    }

    /// The source, checked out if need be, and the target directory.
    fn source(&self, workspace: &Path, place: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
        match self {
            Side::Binary(_) => Err(Unavailable {
                reason: format!("the source of {self} is not known"),
                hint: "compare revisions instead of executables",
            }
            .into()),
            Side::WorkingTree => Ok((workspace.to_path_buf(), place.join("working-tree/target"))),
            Side::Commit(commit) => {
                let folder = place.join(commit);
                // By commit, so that a base that was built once is found again by the next comparison.
                let checkout = folder.join("checkout");
                git::check_out(workspace, commit, &checkout)?;
                Ok((checkout, folder.join("target")))
            }
        }
    }
}

/// Copies a program, whole or not at all.
fn keep(executable: &Path, kept: &Path) -> anyhow::Result<()> {
    let folder = kept.parent().unwrap_or(kept);
    let part = kept.with_extension("part");
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::copy(executable, &part).map(drop))
        .and_then(|()| std::fs::rename(&part, kept))
        .with_context(|| format!("failed to keep `{}`", kept.display()))
}

impl std::fmt::Display for Side {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Side::Binary(path) => write!(formatter, "`{}`", path.display()),
            Side::Commit(commit) => formatter.write_str(digest::short(commit)),
            Side::WorkingTree => formatter.write_str("the working tree"),
        }
    }
}

impl Sides {
    /// Builds both in `place`, which is below cargo's target directory.
    pub fn of(
        base: (&Side, Build),
        head: (&Side, Build),
        (workspace, place): (&Path, &Path),
        progress: &Progress,
    ) -> anyhow::Result<Sides> {
        let subject = |label: &str, (side, build): (&Side, Build)| {
            side.subject(label, build, (workspace, place), progress)
        };
        Ok(Sides {
            base: subject(BASE, base)?,
            control: subject(CONTROL, base)?,
            head: subject(HEAD, head)?,
            files: SubjectFiles::write()?,
            base_files: None,
            slowdown: String::new(),
        })
    }

    /// The programs, in the order of the arms.
    fn subjects(&self) -> [&Subject; ARMS] {
        [&self.base, &self.control, &self.head]
    }

    /// The program that is judged.
    pub fn head(&self) -> &Subject {
        &self.head
    }

    /// The entries for the header of the run.
    pub fn arms(&self) -> Vec<Arm> {
        self.subjects().map(Subject::arm).into()
    }

    /// The lengths of the executables, in bytes.
    pub fn lengths(&self) -> [u64; ARMS] {
        self.subjects().map(|subject| subject.length)
    }

    /// The parameters with which each is started, in front of an upstream.
    pub fn setups(&self, upstream: &Upstream) -> [Setup; ARMS] {
        let base = self.base_files.as_ref().unwrap_or(&self.files);
        [
            base.setup(&self.base, upstream),
            base.setup(&self.control, upstream),
            Setup {
                // The head only: base and control stay as they are, and are compared with each other.
                slowdown: self.slowdown.clone(),
                ..self.files.setup(&self.head, upstream)
            },
        ]
    }

    /// Checks that both start and answer alike; a base that refuses the configuration of the head gets
    /// its own. Returns remarks for the report.
    ///
    /// # Errors
    /// A program that does not start, and programs that answer differently: a fast wrong answer is no
    /// improvement.
    pub fn check(&mut self, workspace: &Path, upstream: &Upstream) -> anyhow::Result<Vec<String>> {
        let mut marks = Vec::new();
        let [base, _, head] = self.setups(upstream);
        // The head first: the configuration is of its version, so that a failure is not the base's.
        let mut head = Proxy::start(&head).context("the head does not start")?;
        let mut base = match Proxy::start(&base) {
            Ok(base) => base,
            // An older base may not know a key of today's configuration; both must still answer alike.
            Err(error) => {
                let own = self.own_files(workspace);
                let own = own.with_context(|| format!("the base does not start: {error:#}"))?;
                let setup = own.setup(&self.base, upstream);
                let started = Proxy::start(&setup).context("the base does not start")?;
                marks.push("the base runs with its own configuration".to_owned());
                self.base_files = Some(own);
                started
            }
        };
        alike(&base.answers()?, &head.answers()?)?;
        Ok(marks)
    }

    /// The configuration in the checkout that the base was built from.
    fn own_files(&self, workspace: &Path) -> anyhow::Result<SubjectFiles> {
        let checkout = self.base.checkout("the configuration of the base")?;
        ensure!(
            checkout != workspace,
            "the base is built from the same checkout as the head, so there is no other configuration to try"
        );
        SubjectFiles::copy(&checkout.join("xtask/subject"))
    }
}

/// The answers of a program, with the names of the calls.
type Answers = [(&'static str, String)];

fn alike(base: &Answers, head: &Answers) -> anyhow::Result<()> {
    for ((call, before), (_, after)) in base.iter().zip(head) {
        ensure!(
            before == after,
            "base and head answer {call} differently, so their speed cannot be compared; \
             base: {before}; head: {after}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_wrong_answer_is_no_improvement() {
        let answers = |refusal: &str| {
            [
                ("a permitted call", "status 200, {}".to_owned()),
                ("a refused call", refusal.to_owned()),
            ]
        };
        let (base, head) = (
            answers("status 403, error -32042"),
            answers("status 200, {}"),
        );
        assert!(alike(&base, &base).is_ok());
        let error = alike(&base, &head).unwrap_err().to_string();
        assert!(
            error.starts_with("base and head answer a refused call differently"),
            "{error}"
        );
        assert!(error.ends_with("head: status 200, {}"), "{error}");
    }
}
