//! The environment that a child is given. A tool has ours, without what would change what it builds,
//! runs or prints; a program that is measured, or measures, has what it takes to start.
//!
//! Deliberately absent: what a single tool is told on purpose; its own file says that.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Variables that no child is given; `*` stands for any text.
const REMOVED: &[&str] = &[
    // What cargo says about this package, for build scripts that look at it would run again, and half
    // of everything be built again, whenever somebody also builds by hand.
    "CARGO_PKG_*",
    "CARGO_MANIFEST_*",
    // How programs are built: as the workspace says, on every machine.
    "CARGO_BUILD_INCREMENTAL",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_PROFILE_*",
    "CARGO_TARGET_*_RUSTFLAGS",
    "CFLAGS*",
    "HOST_CFLAGS",
    "RUSTFLAGS",
    "*RUSTC_WORKSPACE_WRAPPER",
    "TARGET_CFLAGS",
    // How images are built, pulled and pushed. Where the daemon is stays as it was chosen.
    "BUILDKIT_*",
    "BUILDX_*",
    "DOCKER_BUILDKIT",
    "DOCKER_CONTENT_TRUST*",
    "DOCKER_DEFAULT_PLATFORM",
    "SOURCE_DATE_EPOCH",
    // Secrets, and what would change where a report goes: the one tool that needs them is told them.
    "ACTIONS_*TOKEN",
    "BENCHER_*",
    "GH_TOKEN",
    "GITHUB_TOKEN",
    // Where pip installs, and what it refuses; not where packages come from.
    "PIP_*",
    // What is parsed is in English, with decimal points.
    "LANG",
    "LANGUAGE",
    "LC_*",
];

/// Exceptions: where pip finds packages, and how it reaches them.
const KEPT: &[&str] = &[
    "PIP_*CACHE_DIR",
    "PIP_*CERT",
    "PIP_CONFIG_FILE",
    "PIP_*TIMEOUT",
    "PIP_*INDEX*",
    "PIP_FIND_LINKS",
    "PIP_KEYRING_PROVIDER",
    "PIP_PROXY",
    "PIP_RETRIES",
    "PIP_TRUSTED_HOST",
];

/// All that is passed on to what is measured, or measures: the settings of Go, of memory allocators,
/// of nginx, of ThoughtGate itself and of proxies would all change a figure.
const TO_START: &[&str] = &["HOME", "LD_LIBRARY_PATH", "PATH", "VALGRIND_LIB"];

/// Connections of the load, twice in the proxy, and some more.
const ENOUGH_FILES: u64 = 256;

/// Where temporary files go, here and in all children: where `TMPDIR` says, unless that cannot be
/// written, or has a name that cannot be written into configurations.
pub fn temporary_folder() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let places = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
        let mut usable = places.iter().filter_map(|place| usable(place));
        usable.next().unwrap_or_else(std::env::temp_dir)
    });
    &FOLDER
}

/// `place`, absolute, if it can be used.
fn usable(place: &Path) -> Option<PathBuf> {
    let place = std::path::absolute(place).ok()?;
    let is_text = place.to_str().is_some_and(|text| !text.contains('\n'));
    (is_text && tempfile::tempfile_in(&place).is_ok()).then_some(place)
}

/// Lets this process, and so all children, open as many files as it may ask for. Returns how many
/// that is where they do not suffice for a load.
pub fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Not allowed to: what there is may suffice.
    let _ = setrlimit(Resource::Nofile, raised);
    let current = getrlimit(Resource::Nofile).current;
    current.filter(|files| *files < ENOUGH_FILES)
}

/// Takes from a tool what would change its results.
pub(super) fn clean(command: &mut Command) {
    for (key, _) in std::env::vars_os() {
        if is_removed(&key) {
            command.env_remove(key);
        }
    }
    settle(command);
}

fn settle(command: &mut Command) {
    command.env("LC_ALL", "C");
    command.env("TMPDIR", temporary_folder());
}

/// Takes everything but what it takes to start.
pub(super) fn clear(command: &mut Command) {
    command.env_clear();
    settle(command);
    for key in TO_START {
        if let Some(value) = std::env::var_os(key) {
            command.env(key, value);
        }
    }
}

fn is_removed(key: &OsStr) -> bool {
    // A name that is not UTF-8 is none that a tool looks for.
    let is = |patterns: &[&str]| {
        let key = key.to_str();
        key.is_some_and(|key| patterns.iter().any(|pattern| matches(pattern, key)))
    };
    is(REMOVED) && !is(KEPT)
}

fn matches(pattern: &str, key: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return key == pattern;
    };
    let Some(tail) = key.strip_prefix(start) else {
        return false;
    };
    // `*` once or twice; the second one is at the end.
    match rest.strip_suffix('*') {
        Some(middle) => tail.contains(middle),
        None => tail.ends_with(rest),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn a_place_that_cannot_be_written_or_named_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let spaced = folder.path().join("with a space");
        let strange = folder.path().join(OsStr::from_bytes(b"not \xff text"));
        for made in [&spaced, &strange] {
            std::fs::create_dir(made).unwrap();
        }
        assert_eq!(usable(&spaced).as_ref(), Some(&spaced));
        let file = spaced.join("file");
        std::fs::write(&file, "").unwrap();
        for unfit in [&strange, &file, &folder.path().join("missing")] {
            assert_eq!(usable(unfit), None);
        }
        assert!(temporary_folder().is_absolute());
    }

    #[test]
    fn children_may_open_as_many_files_as_the_system_allows() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let current = maximum.map(|maximum| maximum / 2);
        setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
        raise_open_files();
        assert_eq!(getrlimit(Resource::Nofile).current, maximum);
    }

    #[test]
    fn what_changes_results_is_removed_and_what_leads_to_tools_is_not() {
        let removed = |key: &str| is_removed(OsStr::new(key));
        for key in [
            "CARGO_BUILD_TARGET",
            "CARGO_MANIFEST_DIR",
            "CARGO_PROFILE_RELEASE_LTO",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
            "CFLAGS_aarch64_unknown_linux_gnu",
            "RUSTC_WORKSPACE_WRAPPER",
            "BUILDX_BUILDER",
            "DOCKER_BUILDKIT",
            "PIP_REQUIRE_VIRTUALENV",
            "PIP_PREFIX",
            "LC_NUMERIC",
        ] {
            assert!(removed(key), "{key}");
        }
        for key in [
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER",
            "CARGO_HTTP_PROXY",
            "RUSTUP_TOOLCHAIN",
            "RUSTC",
            "DOCKER_HOST",
            "PIP_INDEX_URL",
            "PIP_EXTRA_INDEX_URL",
            "PIP_NO_INDEX",
            "PIP_FIND_LINKS",
            "PIP_CERT",
            "https_proxy",
            "PATH",
        ] {
            assert!(!removed(key), "{key}");
        }
    }
}
