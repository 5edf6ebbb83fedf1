//! `cargo xtask metrics compare`: two programs side by side on this machine, block by block, and a
//! verdict on the second.

mod block;
mod counted;
mod order;
pub mod session;
pub mod sides;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::judge::paired::{self, Judged};
use super::model::Run;
use super::recorder::Start;
use super::render::comparison::Form;
use super::{ending, host, measure, render, store, subject};
use crate::exit::{self, Exit};
use crate::flags;
use crate::interrupt;
use crate::progress::Progress;
use crate::say::say;
use crate::tools::subject::Upstream;
use crate::tools::{cargo, process};
use crate::workspace;
use counted::Benchmarks;
use session::{LOOKS, QUICK_LOOKS, SCENARIO, Session};
use sides::{Build, Side, Sides};

/// The file of samples, in the directory of results.
const FILE: &str = "compare.json";
/// The directory of checkouts and builds, below cargo's target directory.
pub const PLACE: &str = "xtask/compare";

pub fn run(flags: &flags::Compare) -> anyhow::Result<Exit> {
    let workspace = workspace::root()?;
    // Both names are resolved before anything is built, so that a wrong one fails at once.
    let base = match &flags.base {
        Some(named) => Side::named(&workspace, named)?,
        None => Side::merge_base(&workspace)?,
    };
    let head = match &flags.head {
        Some(named) => Side::named(&workspace, named)?,
        // By default what is being worked on, committed or not.
        None => Side::WorkingTree,
    };
    let ground = Ground::prepare(workspace)?;
    let (workspace, progress) = (&ground.workspace, &ground.progress);
    let build = Build::default();
    let mut sides = Sides::of(
        (&base, build),
        (&head, build),
        (workspace, &ground.place),
        progress,
    )?;
    // The upstream of this check ends with the block: each measured block starts its own.
    let marks = {
        let upstream = Upstream::start(&ground.release_dir, Duration::ZERO)?;
        sides.check(workspace, &upstream)?
    };
    for mark in &marks {
        progress.line(&format!("warning: {mark}"));
    }
    let plan = Plan {
        quick: flags.quick,
        seed: flags.seed.unwrap_or_else(measure::seed_from_clock),
    };
    // Before the first block, which a build would disturb.
    let benchmarks = Benchmarks::build([&base, &head], (workspace, &ground.place), progress);
    let mut run = begin(plan, workspace, &sides, marks);
    progress.line(&format!(
        "comparing {base} (base) with {head} (head), seed {}",
        run.seed
    ));
    if let Err(error) = benchmarks.and_then(|of| of.count(&mut run, progress)) {
        // An interrupt ends the comparison; only a count that is impossible here is a warning.
        interrupt::check()?;
        progress.line(&format!("warning: instructions are not counted: {error:#}"));
    }
    let mut session = Session {
        run,
        path: ground.results.join(FILE),
        release_dir: &ground.release_dir,
        sides: &sides,
        progress,
    };
    let judged = finish(&mut session)?;
    let (run, path) = (session.run, session.path);
    // Ends the progress line, into which the verdict would be printed, and lets the next run begin.
    drop(ground);
    report(flags, &run, &judged, &path)
}

/// The preparations that all comparisons share.
pub struct Ground {
    pub workspace: PathBuf,
    /// The directory of results.
    pub results: PathBuf,
    /// The directory below which programs are checked out and built.
    pub place: PathBuf,
    /// The directory of the helper binaries.
    pub release_dir: PathBuf,
    pub progress: Progress,
    _lock: File,
}

impl Ground {
    /// Locks out other runs, removes the remains of killed ones, and builds the helper binaries.
    pub fn prepare(workspace: PathBuf) -> anyhow::Result<Ground> {
        interrupt::install()?;
        let target = cargo::target_dir(&workspace);
        let results = target.join(measure::RESULTS);
        // Before the cleanup: the processes of another run that is still measuring are no remains.
        let lock = store::lock(&results)?;
        process::begin_journal(&target.join(process::JOURNALS));
        let progress = Progress::new();
        measure::raise_open_files(&progress);
        let release_dir = {
            let _step = progress.step("building thoughtgate-test", 0.0);
            cargo::build_release(&workspace, &["thoughtgate-test"])?
        };
        Ok(Ground {
            place: target.join(PLACE),
            workspace,
            results,
            release_dir,
            progress,
            _lock: lock,
        })
    }
}

/// Measures one session, and a second one if the verdict is a BLOCK: both must agree, since a session as
/// a whole can be biased by more than its blocks vary.
fn finish(session: &mut Session<'_>) -> anyhow::Result<Judged> {
    let mut judged = session.measure(0)?;
    if paired::needs_confirmation(&judged) {
        session
            .progress
            .line("measuring again: a BLOCK verdict needs a second session");
        // A fresh session with other random orders; its verdict counts by `judge_all` only.
        session.measure(1)?;
        judged = paired::judge_all(&session.run);
    }
    // Last: a run that was cut off before must not look whole.
    session.run.complete = true;
    session.save()?;
    Ok(judged)
}

/// The extent and the random orders of a comparison.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub quick: bool,
    /// Determines all random orders.
    pub seed: u64,
}

/// A run with the sizes of the executables as its only samples.
pub fn begin(plan: Plan, workspace: &Path, sides: &Sides, marks: Vec<String>) -> Run {
    let looks = if plan.quick {
        QUICK_LOOKS.to_vec()
    } else {
        LOOKS.to_vec()
    };
    let mut run = Start {
        tiers: Vec::new(),
        only: Vec::new(),
        quick: plan.quick,
        seed: plan.seed,
        thresholds: host::thresholds(),
        host: host::fingerprint(),
        git: subject::git(workspace),
        subject: sides.head().file(),
        arms: sides.arms(),
    }
    .run();
    // Fixed before the first block: the level is divided among the looks.
    run.looks.insert(SCENARIO.to_owned(), looks);
    let marks = marks.into_iter().enumerate();
    let marks = marks.map(|(number, mark)| (format!("mark_{number}"), mark.into()));
    run.settings.extend(marks);
    counted::lengths(&mut run, sides);
    run
}

fn report(flags: &flags::Compare, run: &Run, judged: &Judged, path: &Path) -> anyhow::Result<Exit> {
    exit::print(&render::comparison::render(
        flags.format.into(),
        run,
        judged,
    ))?;
    say!("samples in `{}`", workspace::shown(path));
    Ok(ending::of(judged.overall, flags.strict))
}

impl From<flags::Format> for Form {
    fn from(format: flags::Format) -> Form {
        match format {
            flags::Format::Table => Form::Table,
            flags::Format::Markdown => Form::Markdown,
            flags::Format::Json => Form::Json,
        }
    }
}
