//! Runs one target: seeds first, then generated and changed inputs until the time is over or one
//! fails; that one is made small and written down with the command that repeats it.
//!
//! Knows nothing of what a target checks.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::hex::hex;
use crate::minimise::minimise;
use crate::mutate::mutate;
use crate::random::Random;
use crate::targets::Target;

/// CPU time that one input may take in an optimised build, before it counts as a failure: some thousand
/// times what inputs of this size take with checks on.
pub const CPU_SECONDS_MAX: u64 = 2;
/// Inputs that are kept to be changed further.
const KEPT_MAX: usize = 4096;
/// How long a failing input is made smaller.
const MINIMISE: Duration = Duration::from_secs(20);

/// How long, with which random choices, and where to.
pub struct Plan {
    pub time: Duration,
    pub seed: u64,
    /// CPU time that one input may take.
    pub cpu_max: Duration,
    /// Failing inputs, and the one that is being checked, in case it ends the process.
    pub folder: PathBuf,
}

/// Findings of a run.
pub struct Found {
    pub inputs: u64,
    /// Kinds of outcome that were seen.
    pub kinds: usize,
    pub failure: Option<Failure>,
}

pub struct Failure {
    pub reason: String,
    pub file: PathBuf,
}

pub fn run(target: &Target, seeds: Vec<Vec<u8>>, plan: &Plan) -> anyhow::Result<Found> {
    let mut check = (target.check)()?;
    let shown = plan.folder.display();
    fs::create_dir_all(&plan.folder).with_context(|| format!("failed to make `{shown}`"))?;
    let current = Current::open(&plan.folder)?;
    let mut kept = Kept::default();
    let started = Instant::now();
    let mut inputs = 0;
    let mut queue = seeds.into_iter();
    // At least one input, however short the time: a run that checked nothing must not pass.
    while started.elapsed() < plan.time || inputs == 0 {
        let input = queue.next().unwrap_or_else(|| {
            let mut random = Random::new(plan.seed, inputs);
            kept.next(&mut random, target)
        });
        inputs += 1;
        // On disk before the check, which may end this process.
        current.write(&input)?;
        match one(&mut *check, &input, plan.cpu_max) {
            Ok(kind) => kept.add(kind, input),
            Err(reason) => {
                // Only the same kind of failure counts, or else another one could take its place.
                let small = minimise(&input, MINIMISE, |candidate| {
                    one(&mut *check, candidate, plan.cpu_max)
                        .is_err_and(|other| kind_of(&other) == kind_of(&reason))
                });
                let reason = one(&mut *check, &small, plan.cpu_max)
                    .err()
                    .unwrap_or(reason);
                let file = write_down(&plan.folder, &small)?;
                current.remove();
                let failure = Some(Failure { reason, file });
                let kinds = kept.kinds();
                return Ok(Found {
                    inputs,
                    kinds,
                    failure,
                });
            }
        }
    }
    current.remove();
    let kinds = kept.kinds();
    Ok(Found {
        inputs,
        kinds,
        failure: None,
    })
}

/// Checks one input: what kind of outcome it had, or what is wrong.
pub fn one(
    check: &mut dyn FnMut(&[u8]) -> Result<u64, String>,
    input: &[u8],
    cpu_max: Duration,
) -> Result<u64, String> {
    let before = cpu();
    let outcome = catch_unwind(AssertUnwindSafe(|| check(input)));
    let spent = cpu().saturating_sub(before);
    match outcome {
        Err(panic) => Err(format!("panic: {}", said(panic.as_ref()))),
        // Only for an input that passed otherwise: another error says more than the time.
        Ok(Ok(_)) if spent > cpu_max => Err(format!(
            "slow: {} bytes took {} ms of CPU time, more than {} ms",
            input.len(),
            spent.as_millis(),
            cpu_max.as_millis()
        )),
        Ok(result) => result,
    }
}

/// The part of a reason before the first colon; what is made smaller must go on failing so.
fn kind_of(reason: &str) -> &str {
    reason.split(':').next().unwrap_or_default()
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("without a message").to_owned()
}

/// CPU time of this thread: what other processes do does not count.
fn cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// One input for each kind of outcome that was seen: changes to them find kinds that are not.
#[derive(Default)]
struct Kept {
    seen: std::collections::HashSet<u64>,
    inputs: Vec<Vec<u8>>,
}

impl Kept {
    fn kinds(&self) -> usize {
        self.seen.len()
    }

    fn add(&mut self, kind: u64, input: Vec<u8>) {
        if self.inputs.len() < KEPT_MAX && self.seen.insert(kind) {
            self.inputs.push(input);
        }
    }

    fn next(&self, random: &mut Random, target: &Target) -> Vec<u8> {
        let generated = (target.generate)(random);
        if random.one_in(3) || self.inputs.is_empty() {
            return generated;
        }
        let base = if random.one_in(3) {
            &generated
        } else {
            &self.inputs[random.below(self.inputs.len())]
        };
        let other = &self.inputs[random.below(self.inputs.len())];
        mutate(random, base, other)
    }
}

/// The input that is being checked, on disk, for when the process does not live to tell.
struct Current {
    file: File,
    path: PathBuf,
}

impl Current {
    fn open(folder: &Path) -> anyhow::Result<Current> {
        let path = folder.join("current");
        let file =
            File::create(&path).with_context(|| format!("failed to write `{}`", path.display()))?;
        Ok(Current { file, path })
    }

    fn write(&self, input: &[u8]) -> anyhow::Result<()> {
        let written = self.file.write_all_at(input, 0);
        written
            .and_then(|()| self.file.set_len(input.len() as u64))
            .with_context(|| format!("failed to write `{}`", self.path.display()))
    }

    fn remove(&self) {
        // It is only of use after a crash.
        let _ = fs::remove_file(&self.path);
    }
}

fn write_down(folder: &Path, input: &[u8]) -> anyhow::Result<PathBuf> {
    let digest = ring::digest::digest(&ring::digest::SHA256, input);
    let name = hex(&digest.as_ref()[..8]);
    let file = folder.join(name);
    fs::write(&file, input).with_context(|| format!("failed to write `{}`", file.display()))?;
    Ok(file)
}
