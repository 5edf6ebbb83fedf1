//! `cargo xtask soak`: runs the proxy under mixed load for minutes, with reloads, approvals, clients
//! that disconnect, upstream faults and kills, then checks that the records of all add up.
//!
//! Starts processes and reads what they wrote. Sends no load itself, only requests for metrics and
//! settings of the doubles.

mod growth;
mod judge;
mod records;
mod scene;
mod schedule;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::clock;
use crate::exit::{self, Exit};
use crate::say::say;
use crate::tools::{cargo, process};
use crate::{flags, interrupt, workspace};

use growth::Growth;
use judge::faults;
use scene::{Scene, Surroundings};
use schedule::{Event, Schedule};

/// Share of the run in which the proxy is killed now and then. After it one process keeps running, so
/// that its growth can be seen.
const KILLING: f64 = 0.4;
/// Share of the run after [`KILLING`] that is not sampled: pools and caches still fill.
const WARM_UP: f64 = 0.1;
const TICK: Duration = Duration::from_millis(100);
const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// Runs the soak; a fault is exit 1.
pub fn run(flags: &flags::Soak) -> anyhow::Result<Exit> {
    interrupt::install()?;
    process::raise_open_files();
    let root = workspace::root()?;
    let packages = ["thoughtgate", "thoughtgate-test"];
    let programs = cargo::build_profile(&root, &flags.profile, &packages)?;
    let folder = cargo::target_dir(&root).join("soak");
    clear(&folder)?;
    let seed = flags.seed.unwrap_or_else(clock::seconds);
    let time = Duration::from_secs_f64(flags.minutes * 60.0);
    say!("soak: {} min, seed {seed}", flags.minutes);
    let surroundings = Surroundings {
        programs,
        folder: folder.clone(),
    };
    let mut scene = Scene::start(surroundings)?;
    let growth = drive(&mut scene, seed, time)?;
    say!("soak: stopping");
    let records = scene.finish()?;
    let found = faults(&records, &growth);
    exit::show(&format!("{}\n", records.summary(&growth)));
    let what = format!("{} min, seed {seed}", flags.minutes);
    if found.is_empty() {
        return Ok(Exit::Fine(format!("no faults found ({what})")));
    }
    for fault in &found {
        exit::show(&format!("fault: {fault}\n"));
    }
    Ok(Exit::Blocked(format!(
        "{} faults ({what}); the records are in `{}`",
        found.len(),
        workspace::shown(&folder)
    )))
}

/// Plays the schedule until `time` is over, and samples memory and descriptors of the proxy once it is
/// no longer killed.
fn drive(scene: &mut Scene, seed: u64, time: Duration) -> anyhow::Result<Growth> {
    let started = Instant::now();
    let mut schedule = Schedule::new(seed);
    let mut growth = Growth::default();
    let mut sampled = started;
    let mut told = 0;
    while started.elapsed() < time {
        interrupt::check()?;
        let share = started.elapsed().as_secs_f64() / time.as_secs_f64();
        for event in schedule.due(started.elapsed()) {
            if share < KILLING || !matches!(event, Event::Kill) {
                scene.happen(event)?;
            }
        }
        if sampled.elapsed() >= SAMPLE_EVERY {
            sampled = Instant::now();
            // Also while the proxy is still being killed: a sample updates the counts of its process.
            let sample = scene.sample()?;
            if share > KILLING + WARM_UP {
                growth.add(sample);
            }
        }
        let minute = started.elapsed().as_secs() / 60;
        if minute > told {
            told = minute;
            say!("soak: {minute} min: {}", scene.progress());
        }
        std::thread::sleep(TICK);
    }
    Ok(growth)
}

/// Makes an empty folder for the records of this run.
fn clear(folder: &Path) -> anyhow::Result<()> {
    let shown = folder.display();
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("failed to remove `{shown}`"));
        }
        _ => {}
    }
    std::fs::create_dir_all(folder).with_context(|| format!("failed to create `{shown}`"))
}
