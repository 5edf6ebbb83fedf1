//! The jobs of a release: static binaries with their checksums, and the release itself with notes,
//! badges and page.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use xshell::{Cmd, Shell, cmd};

use super::artifacts::{fetch_history, left};
use super::command::{Commands, Tells};
use crate::exit::Exit;
use crate::flags;
use crate::interrupt;
use crate::metrics::digest;
use crate::metrics::history::{self, file::History, line::Job};
use crate::metrics::model::Run;
use crate::metrics::render::claims;
use crate::metrics::render::notes::Previous;
use crate::metrics::report::annotate;
use crate::metrics::report::place::Place;
use crate::metrics::{badges, notes, page, store};
use crate::say::say;
use crate::tools::cargo::{self, Effort};
use crate::tools::image::{self, Architecture};
use crate::tools::process::{Launch, Output};
use crate::tools::scratch::Scratch;
use crate::tools::{git, github};
use crate::workspace;

/// Folder of the files to upload, below cargo's target directory.
const FOLDER: &str = "dist";
const NOTES: &str = "notes.md";
const CHECKSUMS: &str = "SHA256SUMS";
const REGISTRY: &str = "ghcr.io";
/// Time limit of one `gh` command, with the upload of some 25 MB.
const UPLOAD: Duration = Duration::from_secs(300);

/// Builds the static binary of this machine's architecture.
pub fn binaries(place: &Place) -> anyhow::Result<Exit> {
    let workspace = workspace::root()?;
    let architecture = Architecture::own()?;
    let name = architecture.name;
    let compiler = match architecture.compiler(&workspace) {
        Ok(compiler) => compiler,
        Err(command) => bail!("cannot build for {name} on this machine: run `{command}` first"),
    };
    let built = image::build_binary(&workspace, &compiler, Effort::Release)?;
    let folder = cargo::target_dir(&workspace).join(FOLDER);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("failed to create `{}`", folder.display()))?;
    let version = tag(place).unwrap_or("unreleased");
    let file = folder.join(format!("thoughtgate-{version}-linux-{name}"));
    std::fs::copy(&built, &file)
        .with_context(|| format!("failed to copy `{}`", built.display()))?;
    let shown = workspace::shown(&file);
    Ok(Exit::Fine(format!("the static binary is `{shown}`")))
}

fn tag(place: &Place) -> Option<&str> {
    match place {
        Place::Release { tag, .. } => Some(tag),
        _ => None,
    }
}

/// Pushes the image to the registry, under the name of the repository and the tag of the release.
pub fn image(place: &Place, commands: Commands) -> anyhow::Result<Exit> {
    let Some(tag) = tag(place) else {
        return Ok(Exit::Fine("nothing to release for this event".to_owned()));
    };
    let repository = std::env::var("GITHUB_REPOSITORY").unwrap_or_default();
    ensure!(
        github::is_repository(&repository),
        "GITHUB_REPOSITORY is not a valid repository (expected `OWNER/NAME`)"
    );
    // Names of images must not have capitals, and their tags no `+`.
    let name = repository.to_ascii_lowercase();
    let name = format!("{REGISTRY}/{name}:{}", tag.replace('+', "_"));
    commands.tell(&["image", "--push", &name])
}

/// Writes notes, badges, page and checksums, and makes the release of them and the binaries. Without
/// metrics the release has no notes, badges and page; a release that cannot be made is an error.
pub fn release(place: &Place, flags: &flags::Ci, tells: Tells) -> anyhow::Result<Exit> {
    let Some(tag) = tag(place) else {
        return Ok(Exit::Fine("nothing to release for this event".to_owned()));
    };
    let results = tells.results()?;
    let folder = Scratch::new("the history")?;
    fetch_history(&flags.remote, folder.path())?;
    let past = History::read(&folder.path().join(history::FILE))?;
    let run = left(&flags.artifacts, "run.json").pop();
    let run = run.context("no job has left any metrics");
    let told = run.and_then(|path| told(tag, &path, &past, flags, &results));
    let told = annotate::soft(told, |error| {
        format!("the release has no metrics: {error:#}")
    })?;
    let (notes, mut files) = told.unwrap_or_default();
    let notes_file = results.join(NOTES);
    // Written even when there are no metrics: `gh` needs the file.
    store::save(&notes_file, &notes)?;
    let binaries = binaries_in(&flags.artifacts);
    if binaries.is_empty() {
        bail!(
            "no job has left a binary in `{}`",
            flags.artifacts.display()
        );
    }
    let sums = results.join(CHECKSUMS);
    store::save(&sums, &checksums(&binaries)?)?;
    files.extend(binaries);
    files.push(sums);
    if tells == Tells::Nobody {
        let shown = workspace::shown(&results);
        return Ok(Exit::Fine(format!(
            "would release {tag} with {} files, see `{shown}` (--really does it)",
            files.len()
        )));
    }
    publish(tag, &notes_file, &files)?;
    Ok(Exit::Fine(format!(
        "{tag} was released with {} files",
        files.len()
    )))
}

/// The release notes, and the paths of badges and page in `results`.
fn told(
    tag: &str,
    run: &Path,
    past: &History,
    flags: &flags::Ci,
    results: &Path,
) -> anyhow::Result<(String, Vec<PathBuf>)> {
    let run = history::last_run(Some(run))?;
    let notes = notes_of(tag, &run, past)?;
    let folder = results.join("badges");
    badges::write(&run, &folder)?;
    let badges = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = badges.map(|badge| badge.path()).collect();
    files.retain(|file| file.extension().is_some_and(|ending| ending == "svg"));
    files.sort();
    let comparison = left(&flags.artifacts, "compare.json").pop();
    let comparison = comparison.map(|path| history::last_run(Some(&path)));
    let page = results.join("index.html");
    page::write(
        past,
        "main",
        Some(&run),
        comparison.transpose()?.as_ref(),
        &page,
    )?;
    files.push(page);
    Ok((notes, files))
}

/// The section on performance, compared with the last release among the ancestors of the tag, and the
/// claims.
fn notes_of(tag: &str, run: &Run, past: &History) -> anyhow::Result<String> {
    let workspace = workspace::root()?;
    let before = git::tag_before(&workspace, tag);
    let before = before.and_then(|before| git::resolve(&workspace, &before).ok());
    let mut releases = past.jobs.iter().filter(|job| job.branch == "releases");
    let before =
        before.and_then(|commit| releases.rfind(|job| job.revision.as_ref() == Some(&commit)));
    let job = Job::of(run, "releases");
    let previous = before.map_or_else(Previous::new, |before| notes::values_of(before, &job));
    let text = notes::section(tag, run, &previous)?;
    // Claims that are not supported concern the maintainers, not the readers of the release notes.
    say!(
        "the claims, checked against the run:\n{}",
        claims::render(run)
    );
    Ok(match claims::supported(run) {
        supported if supported.is_empty() => text,
        supported => format!("{text}\n### Supported claims\n\n{supported}"),
    })
}

/// The binaries that jobs left.
fn binaries_in(artifacts: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(artifacts).into_iter().flatten().flatten();
    let files = folders.filter_map(|folder| std::fs::read_dir(folder.path()).ok());
    let mut files: Vec<PathBuf> = files
        .flatten()
        .flatten()
        .filter(|file| {
            file.file_name()
                .to_string_lossy()
                .starts_with("thoughtgate-")
        })
        .map(|file| file.path())
        // A link could lead out of the artifact, to any file of this machine.
        .filter(|file| file.symlink_metadata().is_ok_and(|found| found.is_file()))
        .collect();
    files.sort();
    files
}

/// SHA-256 sums in the format that `sha256sum --check` reads.
fn checksums(files: &[PathBuf]) -> anyhow::Result<String> {
    let mut text = String::new();
    for file in files {
        let bytes =
            std::fs::read(file).with_context(|| format!("failed to read `{}`", file.display()))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}  {name}", digest::sha256(&bytes));
    }
    Ok(text)
}

/// Makes the release with GitHub's own CLI, which every runner has. If the job was started again, the
/// release exists already: it is completed.
fn publish(tag: &str, notes: &Path, files: &[PathBuf]) -> anyhow::Result<()> {
    let token = std::env::var("GITHUB_TOKEN").context("GITHUB_TOKEN is not set")?;
    let sh = Shell::new()?;
    let done = |command: Cmd<'_>| {
        // `Launch` passes no token on unless it is set for that one command.
        let launch = Launch::from(command.env("GH_TOKEN", &token));
        launch.run(UPLOAD).and_then(Output::success)
    };
    match done(cmd!(sh, "gh release view {tag}")) {
        Ok(_) => {
            done(cmd!(sh, "gh release edit {tag} --notes-file {notes}"))
                .context("failed to replace the notes of the release")?;
            done(cmd!(sh, "gh release upload {tag} --clobber {files...}"))
                .context("failed to upload the files of the release")?;
        }
        Err(error) if interrupt::cause(&error).is_some() => return Err(error),
        // There is no release yet, or GitHub cannot be reached; creating it then fails too, and says so.
        Err(_) => {
            // `v1.0.0-rc.1` comes before `v1.0.0`: a hyphen marks a pre-release.
            let kind = tag.contains('-').then_some("--prerelease");
            done(cmd!(
                sh,
                "gh release create {tag} --verify-tag {kind...} --notes-file {notes} {files...}"
            ))
            .context("failed to create the release")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_that_a_user_checks() {
        let folder = tempfile::tempdir().unwrap();
        let job = folder.path().join("binaries-amd64");
        std::fs::create_dir(&job).unwrap();
        std::fs::write(job.join("thoughtgate-v1-linux-amd64"), "abc").unwrap();
        std::fs::write(job.join("other"), "x").unwrap();
        let files = binaries_in(folder.path());
        assert_eq!(
            checksums(&files).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  thoughtgate-v1-linux-amd64\n"
        );
    }
}
