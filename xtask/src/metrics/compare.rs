//! `cargo xtask metrics compare`: two programs side by side on this machine, block by block, and a
//! verdict on the second.

mod block;
mod counted;
mod order;
pub mod session;
pub mod sides;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::judge::paired::{self, Judged};
use super::model::{Run, SCHEMA};
use super::render::comparison::Form;
use super::{ending, estimate, host, measure, recorder, render, store, subject};
use crate::exit::{self, Exit};
use crate::flags;
use crate::interrupt;
use crate::progress::Progress;
use crate::say::say;
use crate::tools::subject::Upstream;
use crate::tools::{cargo, process};
use crate::workspace;
use counted::Benchmarks;
use order::ARMS;
use session::{LOOKS, QUICK_LOOKS, SCENARIO, Session};
use sides::{Build, Side, Sides};

/// The samples, below the results.
const FILE: &str = "compare.json";
/// Checkouts and builds, below cargo's target directory.
pub const PLACE: &str = "xtask/compare";

/// Compares, saves, prints, and returns the exit that follows.
pub fn run(flags: &flags::Compare) -> anyhow::Result<Exit> {
    interrupt::install()?;
    let workspace = workspace::root()?;
    let target = cargo::target_dir(&workspace);
    let results = target.join(measure::RESULTS);
    let base = match &flags.base {
        Some(named) => Side::named(&workspace, named)?,
        None => Side::merge_base(&workspace)?,
    };
    let head = match &flags.head {
        Some(named) => Side::named(&workspace, named)?,
        None => Side::WorkingTree,
    };
    let _lock = store::lock(&results)?;
    process::begin_journal(&target.join(process::JOURNALS));
    let progress = Progress::new();
    measure::raise_open_files(&progress);
    let release_dir = {
        let _step = progress.step("building thoughtgate-test", 0.0);
        cargo::build_release(&workspace, &["thoughtgate-test"])?
    };
    let place = target.join(PLACE);
    let build = Build::default();
    let mut sides = Sides::of(
        (&base, build),
        (&head, build),
        (&workspace, &place),
        &progress,
    )?;
    let marks = {
        let upstream = Upstream::start(&release_dir, Duration::ZERO)?;
        sides.check(&workspace, &upstream)?
    };
    for mark in &marks {
        progress.line(&format!("warning: {mark}"));
    }
    let plan = Plan {
        quick: flags.quick,
        seed: flags.seed.unwrap_or_else(measure::seed_from_clock),
    };
    let benchmarks = Benchmarks::build([&base, &head], (&workspace, &place), &progress);
    let mut run = begin(plan, &workspace, &sides, marks);
    progress.line(&format!(
        "comparing {base} (base) with {head} (head), seed {}",
        run.seed
    ));
    if let Err(error) = benchmarks.and_then(|of| of.count(&mut run, &progress)) {
        interrupt::check()?;
        progress.line(&format!("warning: instructions are not counted: {error:#}"));
    }
    let path = results.join(FILE);
    let mut session = Session {
        run,
        path,
        release_dir: &release_dir,
        sides: &sides,
        progress: &progress,
    };
    let judged = finish(&mut session)?;
    let (run, path) = (session.run, session.path);
    drop(progress);
    report(flags, &run, &judged, &path)
}

/// Measures, and once more where the first verdict would end the build: both must agree.
fn finish(session: &mut Session<'_>) -> anyhow::Result<Judged> {
    let mut judged = session.measure(0)?;
    if paired::needs_confirmation(&judged) {
        session
            .progress
            .line("measuring once more, since the verdict would end the build");
        session.measure(1)?;
        judged = paired::judge_all(&session.run);
    }
    session.run.complete = true;
    session.save()?;
    Ok(judged)
}

/// How much is measured, in which orders.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Few blocks.
    pub quick: bool,
    /// All orders follow from it.
    pub seed: u64,
}

/// A run of which nothing is measured yet but the sizes.
pub fn begin(plan: Plan, workspace: &Path, sides: &Sides, marks: Vec<String>) -> Run {
    let looks = if plan.quick {
        QUICK_LOOKS.to_vec()
    } else {
        LOOKS.to_vec()
    };
    let settings = marks.into_iter().enumerate();
    let settings = settings.map(|(number, mark)| (format!("mark_{number}"), mark.into()));
    let mut run = Run {
        schema: SCHEMA,
        rules: estimate::RULES,
        thresholds: host::thresholds(),
        seed: plan.seed,
        looks: BTreeMap::from([(SCENARIO.to_owned(), looks)]),
        arms: sides.arms(),
        started: recorder::seconds_now(),
        finished: recorder::seconds_now(),
        complete: false,
        quick: plan.quick,
        tiers: Vec::new(),
        host: host::fingerprint(),
        tools: BTreeMap::new(),
        git: subject::git(workspace),
        subject: sides.head().file(),
        settings: settings.collect(),
        metrics: Vec::new(),
        samples: Vec::new(),
        distributions: Vec::new(),
        raw: Vec::new(),
        parts: Vec::new(),
    };
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
