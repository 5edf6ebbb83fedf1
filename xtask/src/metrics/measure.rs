//! `cargo xtask metrics` without a command: plan, collect, save, report, and the exit code that follows.
//!
//! Deliberately absent: how anything is measured, which is in the scenarios.

mod ending;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::catalog::{self, Metric, Tier};
use super::context::Context;
use super::outputs::{Array, Outputs};
use super::recorder::{Recorder, Start, ends_the_run};
use super::subject::{self, Subject};
use super::{host, render, scenario, stats, store, tier1, tier2, tier3};
use crate::clock;
use crate::exit::{self, Exit};
use crate::flags::{self, TierFlag};
use crate::interrupt::{self, Interrupted};
use crate::progress::Progress;
use crate::say::say;
use crate::tools::{cargo, process};
use crate::workspace;

/// The directory of results, below cargo's target directory.
pub const RESULTS: &str = "metrics";
/// The directory, below that of results, of what a contributor tries out: own results are not overwritten.
pub const TRIAL: &str = "trial";

pub fn run(flags: &flags::Measure) -> anyhow::Result<Exit> {
    interrupt::install()?;
    let workspace = workspace::root()?;
    let target = cargo::target_dir(&workspace);
    let results = target.join(RESULTS);
    // Misuse is refused before anything is locked, removed or built.
    let outputs = Outputs::of(flags, &workspace, &results)?;
    let given = flags.binary.as_deref().map(subject::given).transpose()?;
    let only = only(&flags.only)?;
    // Before the removal: another run may be writing these files.
    let lock = store::lock(&results)?;
    outputs.clear()?;
    let ended = measure(
        flags,
        (&workspace, &target),
        &outputs,
        given.as_deref(),
        &only,
    );
    // After the report: its files are those that the lock protects.
    drop(lock);
    if flags.soft { soft(ended) } else { ended }
}

/// Turns an error, or a run that measured nothing, into a warning; an interruption stays one.
fn soft(ended: anyhow::Result<Exit>) -> anyhow::Result<Exit> {
    let why = match ended {
        Ok(Exit::Unusable(why)) => why,
        Err(error) if interrupt::cause(&error).is_none() => format!("{error:#}"),
        other => return other,
    };
    say!("warning: {why}");
    Ok(Exit::Fine("nothing could be measured".to_owned()))
}

fn measure(
    flags: &flags::Measure,
    (workspace, target): (&Path, &Path),
    outputs: &Outputs,
    given: Option<&Path>,
    only: &[&'static Metric],
) -> anyhow::Result<Exit> {
    // After the lock: what it removes is left of runs that have ended.
    process::begin_journal(&target.join(process::JOURNALS));

    let progress = Progress::new();
    raise_open_files(&progress);
    let tools_dir = target.join(cargo::TOOLS);
    let context = prepare(flags, (workspace, tools_dir), &progress)?;
    // A given binary may be too old for the configuration of this checkout, so it is probed first.
    let subject = if let (Some(executable), Some(shown)) = (given, &flags.binary) {
        let subject = Subject::given(subject::HEAD, executable, shown, &stores(&context))?;
        scenario::probe(&context, &subject)?;
        subject
    } else {
        let executable = context.release_dir.join("thoughtgate");
        Subject::built(subject::HEAD, workspace, &executable, &stores(&context))?
    };
    let start = Start {
        tiers: tiers(&flags.tiers, only),
        only: only.to_vec(),
        quick: flags.quick,
        seed: flags.seed.unwrap_or_else(seed_from_clock),
        thresholds: host::thresholds(),
        host: host::fingerprint(),
        git: subject::git(workspace),
        subject: subject.file(),
        arms: vec![subject.arm()],
    };
    let tiers = start.tiers.clone();
    progress.line(&format!(
        "seed {} (repeat its random orders with --seed)",
        start.seed
    ));
    // After the build: a run that cannot be built leaves no file that looks like a result.
    let mut recorder = Recorder::new(&outputs.run, start)?;
    if let Some(version) = cargo::rustc_version(workspace) {
        recorder.tool("rustc", &version);
    }

    let seconds = scenario::planned::seconds(context.quick, &recorder);
    progress.plan(seconds);
    let interrupted = collect(&tiers, &mut recorder, |tier, recorder| match tier {
        Tier::One => tier1::collect(&context, &subject, recorder),
        Tier::Two => tier2::collect(&context, &subject, recorder),
        Tier::Three => tier3::collect(&context, &subject, recorder),
    })?;
    // Ends the progress line, into which the table would be printed.
    drop(progress);
    report(flags, outputs, &mut recorder, interrupted, exit::show)
}

/// Raises the limit on open files, and warns where it stays too low for the load.
pub fn raise_open_files(progress: &Progress) {
    if let Some(files) = process::raise_open_files() {
        progress.line(&format!(
            "warning: a process may open no more than {files} files, too few for the load\n  \
             hint: raise the limit (`ulimit -n`)"
        ));
    }
}

/// Folders for the copy of the subject, in order of preference: beside cargo's output, beside the tools.
fn stores(context: &Context<'_>) -> Vec<PathBuf> {
    let built = context.release_dir.parent();
    let beside = built.map(|target| target.join("xtask/subjects"));
    let with_tools = context.tools_dir.with_file_name("subjects");
    beside.into_iter().chain([with_tools]).collect()
}

/// Builds the subject, unless it was given, and the helper binaries.
fn prepare<'a>(
    flags: &flags::Measure,
    (workspace, tools_dir): (&Path, PathBuf),
    progress: &'a Progress,
) -> anyhow::Result<Context<'a>> {
    let packages: &[&str] = if flags.binary.is_some() {
        &["thoughtgate-test"]
    } else {
        &["thoughtgate", "thoughtgate-test"]
    };
    let release_dir = {
        let _step = progress.step(&format!("building {}", packages.join(" and ")), 0.0);
        cargo::build_release(workspace, packages)?
    };
    std::fs::create_dir_all(&tools_dir)
        .with_context(|| format!("failed to create `{}`", tools_dir.display()))?;
    Ok(Context {
        workspace: workspace.to_path_buf(),
        release_dir,
        tools_dir,
        quick: flags.quick,
        registry: flags.registry.clone(),
        progress,
    })
}

/// Collects tier by tier. An error that ends a tier becomes the failure of the metrics that it had not
/// reported yet, and the next tier goes on; an interruption ends the run.
fn collect(
    tiers: &[Tier],
    recorder: &mut Recorder,
    mut collect_tier: impl FnMut(Tier, &mut Recorder) -> anyhow::Result<()>,
) -> anyhow::Result<Option<Interrupted>> {
    for &tier in tiers {
        if let Err(interrupted) = interrupt::check() {
            return Ok(Some(interrupted));
        }
        let Err(error) = collect_tier(tier, recorder) else {
            continue;
        };
        if let Some(interrupted) = interrupt::cause(&error) {
            return Ok(Some(interrupted));
        }
        if ends_the_run(&error) {
            return Err(error);
        }
        let error = error.context(format!("tier {} ended early", tier.number()));
        for metric in catalog::of_tier(tier) {
            if recorder.pending(metric) {
                recorder.fail(metric, &error)?;
            }
        }
    }
    Ok(interrupt::check().err())
}

fn report(
    flags: &flags::Measure,
    outputs: &Outputs,
    recorder: &mut Recorder,
    interrupted: Option<Interrupted>,
    show: impl FnOnce(&str),
) -> anyhow::Result<Exit> {
    let run = recorder.finish(interrupted.is_none())?;
    let (array, saved) = (
        outputs.array.shown(),
        format!("samples in `{}`", workspace::shown(&outputs.run)),
    );
    if interrupted.is_none() {
        // Before printing, which may fail.
        outputs.array.save(&render::array::render(run))?;
    }
    let text = if flags.json {
        run.to_text()
    } else {
        render::table::render(run)
    };
    // The array has standard output for itself, so that it can be piped.
    if outputs.array == Array::Standard {
        say!("{text}");
    } else {
        show(&text);
    }
    if let Some(interrupted) = interrupted {
        // The array has no mark for an incomplete run, so none is written.
        let text = format!("{saved}, no results in {array}");
        return Ok(Exit::Interrupted(interrupted, text));
    }
    say!(
        "{}results in {array}, {saved}",
        render::warnings::render(run)
    );
    Ok(ending::of(run, flags.strict, flags.enforce_targets))
}

/// A seed for runs without `--seed`.
pub fn seed_from_clock() -> u64 {
    let since = clock::since_epoch();
    // Below 2^53, so that every JSON reader keeps it whole.
    let nanos = since.as_secs() ^ u64::from(since.subsec_nanos()) << 32;
    stats::Random::new(nanos).next() >> 11
}

/// The metrics with these names, or in categories with these names.
fn only(names: &[String]) -> anyhow::Result<Vec<&'static Metric>> {
    let mut all = Vec::new();
    for name in names {
        let before = all.len();
        let metrics = catalog::METRICS.iter();
        all.extend(metrics.filter(|metric| metric.name == name || metric.category() == name));
        ensure!(
            all.len() > before,
            "unknown metric or category `{name}`: `cargo xtask metrics list` prints all of them"
        );
    }
    Ok(all)
}

/// The tiers asked for, each once, in order. Without a tier: those of the metrics that are named, else
/// tier 1.
fn tiers(asked: &[TierFlag], only: &[&'static Metric]) -> Vec<Tier> {
    let is_asked = |tier: &Tier| {
        asked.iter().any(|flag| match flag {
            TierFlag::One => *tier == Tier::One,
            TierFlag::Two => *tier == Tier::Two,
            TierFlag::Three => *tier == Tier::Three,
            TierFlag::All => true,
        })
    };
    if asked.is_empty() && only.is_empty() {
        return vec![Tier::One];
    }
    if asked.is_empty() {
        let named = |tier: &Tier| only.iter().any(|metric| metric.tier == *tier);
        return Tier::ALL.into_iter().filter(named).collect();
    }
    Tier::ALL.into_iter().filter(is_asked).collect()
}

#[cfg(test)]
mod tests;
