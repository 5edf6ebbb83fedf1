//! The jobs of a release: static binaries with their checksums, and the release itself with notes,
//! badges and page.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

use super::jobs::{command, fetch_history, left};
use crate::exit::Exit;
use crate::flags;
use crate::metrics::digest;
use crate::metrics::history::{self, file::History};
use crate::metrics::measure::RESULTS;
use crate::metrics::render::array;
use crate::metrics::report::announce;
use crate::metrics::report::place::Place;
use crate::metrics::{badges, catalog, notes, page, store};
use crate::tools::cargo::{self, Effort};
use crate::tools::github;
use crate::tools::image::{self, Architecture};
use crate::tools::process::{Launch, Output};
use crate::tools::scratch::Scratch;
use crate::workspace;

/// What is uploaded, below cargo's target directory.
const FOLDER: &str = "dist";
const NOTES: &str = "notes.md";
const PREVIOUS: &str = "previous.json";
const CHECKSUMS: &str = "SHA256SUMS";
const REGISTRY: &str = "ghcr.io";
/// With the upload of some 25 MB.
const UPLOAD: Duration = Duration::from_secs(300);

/// Builds the static binary of this machine's architecture.
pub fn binaries(place: &Place) -> anyhow::Result<Exit> {
    let workspace = workspace::root()?;
    let architecture = Architecture::own()?;
    let name = architecture.name;
    let compiler = match architecture.compiler(&workspace) {
        Ok(compiler) => compiler,
        Err(command) => bail!("nothing can be built for {name} here: `{command}` first"),
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

/// Pushes the image to the registry of the repository's owner, under the tag.
pub fn image(place: &Place) -> anyhow::Result<Exit> {
    let Some(tag) = tag(place) else {
        return Ok(Exit::Fine("nothing is released here".to_owned()));
    };
    let repository = std::env::var("GITHUB_REPOSITORY").unwrap_or_default();
    ensure!(
        github::is_repository(&repository),
        "GITHUB_REPOSITORY is not `OWNER/NAME`"
    );
    // Names of images have no capitals.
    let name = format!("{REGISTRY}/{}:{tag}", repository.to_ascii_lowercase());
    command(&["image", "--push", &name])
}

/// Writes notes, badges, page and checksums, and makes the release of them and the binaries. Metrics
/// that are missing leave their section out; a release that cannot be made is an error.
pub fn release(place: &Place, flags: &flags::Ci) -> anyhow::Result<Exit> {
    let Some(tag) = tag(place) else {
        return Ok(Exit::Fine("nothing is released here".to_owned()));
    };
    let workspace = workspace::root()?;
    let results = cargo::target_dir(&workspace).join(RESULTS);
    let folder = Scratch::new("the history")?;
    fetch_history(&flags.remote, folder.path())?;
    let past = History::read(&folder.path().join(history::FILE))?;
    let run = left(&flags.artifacts, "run.json").pop();
    let notes_file = results.join(NOTES);
    let notes = if let Some(run) = &run {
        notes_of(tag, run, &past, &results)?
    } else {
        announce::warning("there are no metrics: the notes have no section on them");
        String::new()
    };
    store::save(&notes_file, &notes)?;
    if let Some(path) = &run {
        let run = history::last_run(Some(path))?;
        badges::write(&run, &results.join("badges"))?;
        page::write(&past, "main", Some(&run), None, &results.join("index.html"))?;
    }
    let binaries = binaries_in(&flags.artifacts);
    if binaries.is_empty() {
        bail!(
            "no job has left a binary in `{}`",
            flags.artifacts.display()
        );
    }
    let sums = results.join(CHECKSUMS);
    store::save(&sums, &checksums(&binaries)?)?;
    let page = results.join("index.html");
    let page = page.exists().then_some(page);
    let files: Vec<PathBuf> = binaries.into_iter().chain([sums]).chain(page).collect();
    publish(tag, &notes_file, &files)?;
    Ok(Exit::Fine(format!(
        "{tag} was released with {} files",
        files.len()
    )))
}

/// The section on performance and the claims that hold.
fn notes_of(tag: &str, run: &Path, past: &History, results: &Path) -> anyhow::Result<String> {
    let current = history::last_run(Some(run))?;
    let mut releases = past.jobs.iter().filter(|job| job.branch == "releases");
    // The release itself may be in the history already.
    let before = releases.rfind(|job| job.sha256 != current.subject.sha256);
    let previous = before.map(|job| {
        let values = job.metrics.iter();
        let values =
            values.filter_map(|(name, figure)| Some((catalog::find(name)?, &figure.value)));
        array::render_values(values)
    });
    let path = results.join(PREVIOUS);
    if let Some(text) = &previous {
        store::save(&path, text)?;
    }
    let of = |claims: bool| flags::Notes {
        version: Some(tag.to_owned()),
        previous: previous.as_ref().filter(|_| !claims).map(|_| path.clone()),
        run: Some(run.to_path_buf()),
        claims,
    };
    let section = notes::text(&of(false))?;
    let claims = notes::text(&of(true))?;
    Ok(format!("{section}\n### What this run supports\n\n{claims}"))
}

/// The binaries that jobs have left.
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
        .filter(|file| file.symlink_metadata().is_ok_and(|found| found.is_file()))
        .collect();
    files.sort();
    files
}

/// In the form that `sha256sum --check` reads.
fn checksums(files: &[PathBuf]) -> anyhow::Result<String> {
    let mut text = String::new();
    for file in files {
        let bytes =
            std::fs::read(file).with_context(|| format!("failed to read `{}`", file.display()))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let _ = writeln!(text, "{}  {name}", digest::sha256(&bytes));
    }
    Ok(text)
}

/// Makes the release at GitHub with its own CLI, which every runner has.
fn publish(tag: &str, notes: &Path, files: &[PathBuf]) -> anyhow::Result<()> {
    let token = std::env::var("GITHUB_TOKEN").context("GITHUB_TOKEN is not set")?;
    Launch::new("gh")
        .env("GH_TOKEN", token)
        .args(["release", "create", tag, "--verify-tag", "--notes-file"])
        .arg(notes)
        .args(files)
        .run(UPLOAD)
        .and_then(Output::success)
        .context("failed to make the release")?;
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
