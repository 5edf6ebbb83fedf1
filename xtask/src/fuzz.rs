//! `cargo xtask fuzz`: builds the fuzz targets and runs each for a given time, several in parallel.
//!
//! Deliberately absent: what a target checks and how inputs are generated; see `thoughtgate-fuzz`.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{bail, ensure};

use crate::clock;
use crate::exit::{self, Exit};
use crate::say::say;
use crate::tools::cargo;
use crate::tools::process::{Launch, Output};
use crate::{flags, interrupt, workspace};

const PACKAGE: &str = "thoughtgate-fuzz";
/// The unoptimised profile, and the CPU time in seconds that an input may take in it.
const UNOPTIMISED: (&str, &str) = ("dev", "20");
/// Time beyond `--seconds`: to start, to check the last input, to minimise a failing one.
const GRACE: Duration = Duration::from_secs(90);

/// Runs the targets; a failing one is exit 1.
pub fn run(flags: &flags::Fuzz) -> anyhow::Result<Exit> {
    interrupt::install()?;
    let root = workspace::root()?;
    let binary = cargo::build_profile(&root, &flags.profile, &[PACKAGE])?.join(PACKAGE);
    let names = chosen(&binary, &flags.targets)?;
    if let Some(file) = &flags.replay {
        return replay(&binary, &names, file);
    }
    let seed = flags.seed.unwrap_or_else(clock::seconds);
    say!(
        "fuzzing {} for {} s each, seed {seed}",
        names.join(", "),
        flags.seconds
    );
    let folder = cargo::target_dir(&root).join("fuzz");
    let job = Job {
        binary: &binary,
        root: &root,
        folder: &folder,
        seconds: flags.seconds,
        seed,
        cpu_seconds: (flags.profile == UNOPTIMISED.0).then_some(UNOPTIMISED.1),
    };
    let mut failed = Vec::new();
    for (name, result) in at_once(&names, |name| job.run(name)) {
        match result? {
            Ended::Clean(said) => exit::show(&said),
            Ended::Failed(said) => {
                exit::show(&said);
                failed.push(name);
            }
        }
    }
    Ok(if failed.is_empty() {
        Exit::Fine(format!(
            "{} targets, none failed (seed {seed})",
            names.len()
        ))
    } else {
        Exit::Blocked(format!("failed: {} (seed {seed})", failed.join(", ")))
    })
}

/// Result of one target, with the text to print.
enum Ended {
    Clean(String),
    Failed(String),
}

struct Job<'j> {
    binary: &'j Path,
    root: &'j Path,
    /// Folder of failing inputs, one subfolder per target.
    folder: &'j Path,
    seconds: u64,
    seed: u64,
    /// CPU time in seconds that an input may take; none for the default of the binary.
    cpu_seconds: Option<&'j str>,
}

impl Job<'_> {
    fn run(&self, name: &str) -> anyhow::Result<Ended> {
        let folder = self.folder.join(name);
        let deadline = Duration::from_secs(self.seconds) + GRACE;
        let cpu = self.cpu_seconds.map(|seconds| ["--cpu-seconds", seconds]);
        let mut child = Launch::bare(self.binary)
            .args(["run", name, "--seconds", &self.seconds.to_string()])
            .args(["--seed", &self.seed.to_string(), "--output"])
            .arg(&folder)
            .args(cpu.into_iter().flatten())
            .directory(self.root)
            .start()?;
        let status = child.wait(deadline);
        // Checked before the result: a target that was interrupted has not failed.
        interrupt::check()?;
        let output = match status {
            Ok(status) => child.output(status),
            Err(error) => return Ok(crashed(name, &folder, &format!("{error:#}"))),
        };
        match output.status.code() {
            Some(0) => Ok(Ended::Clean(output.stdout.text())),
            Some(1) => Ok(Ended::Failed(failed(name, &folder, &output))),
            Some(code) => bail!(
                "the target `{name}` could not run (exit {code}): {}",
                output.stderr.text().trim()
            ),
            None => Ok(crashed(
                name,
                &folder,
                &format!("the process died ({})", output.status),
            )),
        }
    }
}

/// The output of a failed target, and the command that repeats the failure.
fn failed(name: &str, folder: &Path, output: &Output) -> String {
    let said = output.stdout.text();
    // What the target prints last in backquotes is the file of the failing input.
    let file = said
        .split('`')
        .rev()
        .nth(1)
        .map_or(folder.to_path_buf(), PathBuf::from);
    format!("{said}{}", command(name, &file))
}

/// A target whose process died or hung. Its last input is on disk, in the file `current`.
fn crashed(name: &str, folder: &Path, how: &str) -> Ended {
    let file = folder.join("current");
    Ended::Failed(format!(
        "{name}: failed: {how}; the last input is in `{}`\n{}",
        file.display(),
        command(name, &file)
    ))
}

fn command(name: &str, file: &Path) -> String {
    let file = workspace::shown(file);
    format!("{name}: replay it with `cargo xtask fuzz --target {name} --replay {file}`\n")
}

fn replay(binary: &Path, names: &[String], file: &Path) -> anyhow::Result<Exit> {
    let [name] = names else {
        bail!("--replay needs exactly one --target, got {}", names.len());
    };
    let output = Launch::bare(binary)
        .args(["replay", name])
        .arg(file)
        .run(GRACE)?;
    exit::show(&output.stdout.text());
    Ok(match output.status.code() {
        Some(0) => Exit::Fine(format!("`{}` passes target `{name}`", file.display())),
        Some(2) => Exit::Unusable(output.stderr.text().trim().to_owned()),
        // Also without an exit code: an input that crashes the target is a failure.
        _ => Exit::Blocked(format!(
            "`{}` fails target `{name}` ({})",
            file.display(),
            output.status
        )),
    })
}

/// The targets asked for, each known to the binary; all targets when none was asked for.
fn chosen(binary: &Path, asked: &[String]) -> anyhow::Result<Vec<String>> {
    let listed = Launch::bare(binary).arg("list").run(GRACE)?.success()?;
    let text = listed.stdout.text();
    let all: Vec<String> = text.lines().map(str::to_owned).collect();
    ensure!(
        !all.is_empty(),
        "`{} list` printed no fuzz target",
        binary.display()
    );
    for name in asked {
        ensure!(
            all.contains(name),
            "unknown fuzz target `{name}`, expected one of {}",
            all.join(", ")
        );
    }
    Ok(if asked.is_empty() {
        all
    } else {
        asked.to_vec()
    })
}

/// Calls `work` for each name, in as many threads as there are cores; results keep the order of names.
fn at_once<T: Send>(names: &[String], work: impl Fn(&str) -> T + Sync) -> Vec<(String, T)> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, T)>> = Mutex::new(Vec::new());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..cores.min(names.len()) {
            scope.spawn(|| {
                loop {
                    // `Relaxed` suffices: each thread gets another number, and no data depends on it.
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(name) = names.get(index) else { return };
                    let result = work(name);
                    done.lock().unwrap().push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter()
        .map(|(index, result)| (names[index].clone(), result))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_of_the_names() {
        let names: Vec<String> = (0..20).map(|name| name.to_string()).collect();
        let results = at_once(&names, |name| format!("{name}!"));
        let expected: Vec<(String, String)> = names
            .iter()
            .map(|name| (name.clone(), format!("{name}!")))
            .collect();
        assert_eq!(results, expected);
    }

    #[test]
    fn a_failure_comes_with_the_command_that_repeats_it() {
        let command = command("seal", Path::new("/elsewhere/0123"));
        assert!(command.contains("cargo xtask fuzz --target seal --replay /elsewhere/0123"));
        let Ended::Failed(said) = crashed("seal", Path::new("/elsewhere"), "signal: 11") else {
            panic!("a crash is a failure")
        };
        assert!(
            said.contains("signal: 11; the last input is in `/elsewhere/current`"),
            "{said}"
        );
    }
}
