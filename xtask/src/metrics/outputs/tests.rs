//! Results go where they were asked for, and replace nothing but results.

use std::fs;
use std::os::unix::fs::symlink;

use clap::Parser as _;
use tempfile::TempDir;

use super::*;

fn measure(arguments: &[&str]) -> flags::Measure {
    let arguments = ["cargo xtask", "metrics"].iter().chain(arguments);
    let flags = flags::Flags::try_parse_from(arguments).unwrap();
    let flags::Command::Metrics(metrics) = flags.command else {
        panic!("not metrics")
    };
    metrics.measure
}

/// A workspace with its directory of results.
struct Place {
    folder: TempDir,
    results: PathBuf,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let results = folder.path().join("target/metrics");
        Place { folder, results }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn outputs(&self, arguments: &[&str]) -> anyhow::Result<Outputs> {
        Outputs::of(&measure(arguments), self.folder.path(), &self.results)
    }

    fn output(&self, path: &Path) -> anyhow::Result<Outputs> {
        self.outputs(&["--output", path.to_str().unwrap()])
    }

    fn refused(&self, path: &Path, why: &str) {
        let message = format!("{:#}", self.output(path).err().unwrap());
        assert!(message.contains(why), "{message}");
        assert!(message.contains(path.to_str().unwrap()), "{message}");
    }
}

fn file(array: &Array) -> &Path {
    match array {
        Array::File(path) => path,
        Array::Standard => panic!("not a file"),
    }
}

#[test]
fn a_quick_run_never_lands_where_a_full_one_does() {
    let place = Place::new();
    let full = place.outputs(&[]).unwrap();
    let quick = place.outputs(&["--quick"]).unwrap();
    assert_eq!(file(&full.array), place.path("bench_metrics.json"));
    assert_eq!(full.run, place.path("target/metrics/run.json"));
    assert_ne!(full.array, quick.array);
    assert_ne!(full.run, quick.run);
    let named = place.path("here.json");
    assert_eq!(file(&place.output(&named).unwrap().array), named);
}

#[test]
fn an_array_that_has_no_room_in_the_workspace_goes_beside_the_run() {
    let place = Place::new();
    // Not a place for a file, also for root, who may write into a read-only folder.
    fs::create_dir(place.path("bench_metrics.json")).unwrap();
    let outputs = place.outputs(&[]).unwrap();
    assert_eq!(
        file(&outputs.array),
        place.path("target/metrics/bench_metrics.json")
    );
}

#[test]
fn what_is_not_an_array_of_results_is_not_replaced() {
    let place = Place::new();
    for (name, text) in [
        ("Cargo.toml", "[workspace]\n"),
        ("main.rs", "fn main() {}\n"),
        ("run.json", "{\"schema\": 1}\n"),
        ("cut.json", "[{\"name\":"),
    ] {
        fs::write(place.path(name), text).unwrap();
        place.refused(&place.path(name), "is not an array of results");
        assert_eq!(fs::read_to_string(place.path(name)).unwrap(), text);
        // Nor through a link.
        let link = place.path(&format!("link-{name}"));
        symlink(place.path(name), &link).unwrap();
        place.refused(&link, "is not an array of results");
    }
    for (name, text) in [("old.json", "[]\n"), ("empty.json", "")] {
        fs::write(place.path(name), text).unwrap();
        place.output(&place.path(name)).unwrap();
    }
}

#[test]
fn the_files_of_the_run_itself_are_not_taken_before_they_exist() {
    let place = Place::new();
    for name in ["run.json", "run.quick.json", ".lock"] {
        place.refused(&place.results.join(name), "samples of runs");
        let around = place.results.join("../metrics").join(name);
        place.refused(&around, "samples of runs");
    }
    let link = place.path("link.json");
    symlink(place.results.join("run.json"), &link).unwrap();
    place.refused(&link, "samples of runs");
}

#[test]
fn standard_output_is_asked_for_by_a_dash_and_not_twice() {
    let place = Place::new();
    let outputs = place.outputs(&["--output", "-"]).unwrap();
    assert_eq!(outputs.array, Array::Standard);
    let twice = place.outputs(&["--output", "-", "--json"]).err().unwrap();
    assert!(twice.to_string().contains("--json"), "{twice}");
}

#[test]
fn what_an_earlier_run_left_is_gone_before_anything_is_built() {
    let place = Place::new();
    let (target, link) = (place.path("art.json"), place.path("link.json"));
    symlink(&target, &link).unwrap();
    let outputs = place.output(&link).unwrap();
    outputs.array.save("[]\n").unwrap();
    store::save(&outputs.run, "{}\n").unwrap();
    outputs.clear().unwrap();
    assert!(!target.exists() && !outputs.run.exists());
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    // There may be nothing to remove.
    outputs.clear().unwrap();
    let discarded = place.output(Path::new("/dev/null")).unwrap();
    discarded.clear().unwrap();
    discarded.array.save("[]\n").unwrap();
    assert!(Path::new("/dev/null").exists());
}
