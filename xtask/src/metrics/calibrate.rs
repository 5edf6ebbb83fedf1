//! `cargo xtask metrics calibrate`: how often a comparison of a program with itself reports a
//! regression, and how often a comparison with a program that is slower by a known amount does.
//!
//! Each session adds a line to a file: a later call continues where an earlier one ended.

mod effect;
mod resample;
mod score;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::compare::session::Session;
use super::compare::sides::{Build, Side, Sides};
use super::compare::{self, Ground, Plan};
use super::judge::paired::{BASE, Judged};
use super::model::{Run, State};
use super::stats::Histogram;
use super::{catalog, history, measure, stats, store};
use crate::exit::{self, Exit};
use crate::flags;
use crate::tools::cargo;
use crate::tools::subject::Upstream;
use crate::workspace;
use effect::{Effect, Usual};
use score::Scored;

/// The file of lines, and the folder with the samples of each session, in the directory of results.
const FILE: &str = "calibration.jsonl";
const SAMPLES: &str = "calibration";
/// Fixed, so that the same sessions are drawn each time.
const REPLAY_SEED: u64 = 1;

/// Makes the sessions that are still missing, and prints the scorecard.
pub fn run(flags: &flags::Calibrate) -> anyhow::Result<Exit> {
    for name in &flags.only {
        let known: Vec<&str> = Effect::ALL.iter().map(|effect| effect.name).collect();
        ensure!(
            known.contains(&name.as_str()),
            "unknown slowdown `{name}`: expected one of {}",
            known.join(", ")
        );
    }
    let workspace = workspace::root()?;
    let target = cargo::target_dir(&workspace);
    let results = target.join(measure::RESULTS);
    let file = flags.file.clone().unwrap_or_else(|| results.join(FILE));
    let folder = results.join(SAMPLES);
    // Before anything is locked or built: lines can be scored on any machine.
    if flags.score {
        return print(&score::read(&file)?, flags.replays, &folder);
    }
    let ground = Ground::prepare(workspace)?;
    let tree = Side::WorkingTree;
    let slow = Build {
        slowdown: true,
        ..Build::default()
    };
    let again = Build {
        again: true,
        ..Build::default()
    };
    let builder = (ground.workspace.as_path(), ground.place.as_path());
    let progress = &ground.progress;
    // Two builds, not one binary twice: paths and layout of a second build may differ, and must not alarm.
    let alike = Sides::of((&tree, Build::default()), (&tree, again), builder, progress)?;
    // Both sides with the feature, so that the code of the slowdown itself is no difference.
    let slowed = Sides::of((&tree, slow), (&tree, slow), builder, progress)?;
    let mut bench = Calibration {
        ground: &ground,
        folder: folder.clone(),
        file,
        sides: [alike, slowed],
        usual: None,
    };
    bench.run(flags)?;
    let all = score::read(&bench.file)?;
    drop(ground);
    print(&all, flags.replays, &folder)
}

/// Prints the scorecard, and the result of `replays` sessions drawn from the samples in `folder`.
fn print(all: &[Scored], replays: usize, folder: &Path) -> anyhow::Result<Exit> {
    exit::print(&score::card(all))?;
    if replays > 0 {
        let sessions = undisturbed(folder)?;
        let found = resample::regressions(&sessions, replays, REPLAY_SEED);
        exit::print(&score::replayed(found, replays, sessions.len()))?;
    }
    Ok(Exit::Fine(format!("{} sessions", all.len())))
}

/// The sessions in `folder` whose programs were not slowed down on purpose.
fn undisturbed(folder: &Path) -> anyhow::Result<Vec<Run>> {
    let ending = format!("-{}.json", Effect::NONE.name);
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.to_string_lossy().ends_with(&ending))
        .collect();
    // A directory has no fixed order, and the same sessions have to be drawn each time.
    paths.sort();
    ensure!(
        !paths.is_empty(),
        "there are no samples in `{}`: they are on the machine that measured the sessions",
        folder.display()
    );
    let read = |path: &PathBuf| {
        let shown = path.display();
        let run =
            Run::parse(&store::read(path)?).with_context(|| format!("failed to read `{shown}`"))?;
        ensure!(
            run.looks.contains_key(compare::session::SCENARIO) && !run.samples.is_empty(),
            "`{shown}` has no samples of a comparison: remove it"
        );
        Ok(run)
    };
    paths.iter().map(read).collect()
}

/// Everything that sessions share.
struct Calibration<'a> {
    ground: &'a Ground,
    /// The folder of samples.
    folder: PathBuf,
    file: PathBuf,
    /// A program against its second build, and a program that can be slowed down against itself.
    sides: [Sides; 2],
    /// Figures of the program without a slowdown, once they are measured.
    usual: Option<Usual>,
}

impl Calibration<'_> {
    fn run(&mut self, flags: &flags::Calibrate) -> anyhow::Result<()> {
        let effects = Effect::ALL.iter();
        let effects: Vec<&Effect> = effects
            .filter(|effect| {
                flags.only.is_empty() || flags.only.iter().any(|name| name == effect.name)
            })
            .collect();
        let most = flags.sessions.max(flags.effects);
        // One session of each effect in turn, so that a call that is cut off has some of all.
        for round in 0..most {
            for effect in &effects {
                let wanted = if effect.metric.is_none() {
                    flags.sessions
                } else {
                    flags.effects
                };
                // Read again each time: the sessions of this call are in the file too.
                let made = score::read(&self.file)?;
                let made = made
                    .iter()
                    .filter(|line| line.effect == effect.name)
                    .count();
                if round < wanted && made <= round {
                    self.session(effect)?;
                }
            }
        }
        Ok(())
    }

    /// Measures one session, and adds its line.
    fn session(&mut self, effect: &Effect) -> anyhow::Result<()> {
        // A slowdown is measured against the same build without it, so that nothing else differs.
        let which = usize::from(effect.metric.is_some());
        let slowdown = if effect.metric.is_some() {
            effect.slowdown(&self.usual()?)
        } else {
            String::new()
        };
        let plan = Plan {
            quick: false,
            seed: measure::seed_from_clock(),
        };
        self.sides[which].slowdown.clone_from(&slowdown);
        self.ground.progress.line(&format!(
            "session `{}`, seed {}, slowed down by `{slowdown}`",
            effect.name, plan.seed
        ));
        let (run, judged) = self.measure(which, plan, effect.name)?;
        let line = Scored::of(effect, slowdown, history::line::key(&run), &run, &judged);
        score::append(&self.file, &line)
    }

    fn measure(&self, which: usize, plan: Plan, name: &str) -> anyhow::Result<(Run, Judged)> {
        let sides = &self.sides[which];
        let mut session = Session {
            run: compare::begin(plan, &self.ground.workspace, sides, Vec::new()),
            path: self.folder.join(format!("{}-{name}.json", plan.seed)),
            release_dir: &self.ground.release_dir,
            sides,
            progress: &self.ground.progress,
        };
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("failed to create `{}`", self.folder.display()))?;
        let judged = session.measure(0)?;
        session.run.complete = true;
        session.save()?;
        Ok((session.run, judged))
    }

    /// Measures the program that can be slowed down, without a slowdown.
    fn usual(&mut self) -> anyhow::Result<Usual> {
        if let Some(usual) = &self.usual {
            return Ok(usual.clone());
        }
        let plan = Plan {
            quick: true,
            seed: measure::seed_from_clock(),
        };
        self.sides[1].slowdown.clear();
        {
            let upstream = Upstream::start(&self.ground.release_dir, Duration::ZERO)?;
            self.sides[1].check(&self.ground.workspace, &upstream)?;
        }
        // Its verdict is of no interest, only the figures of the base.
        let (run, _) = self.measure(1, plan, "usual")?;
        let median = |name: &str| {
            let metric = catalog::find(name)?;
            let rows = run.samples_of(metric);
            let rows = rows.filter(|row| row.arm == BASE && row.state == State::Counted);
            let values: Vec<f64> = rows
                .filter_map(|row| row.value.as_ref()?.number())
                .collect();
            stats::median(&values)
        };
        let of_base = run.distributions.iter().filter(|row| row.arm == BASE);
        let times = of_base.fold(Histogram::default(), |all, row| all.merged(&row.buckets));
        let usual =
            Usual::of(median, times).context("failed to measure the program without a slowdown")?;
        self.usual = Some(usual.clone());
        Ok(usual)
    }
}
