//! Environment variables of children. A tool gets those of this process, without the ones that would
//! change what it builds, runs or prints; a program that is measured or makes load gets only what it
//! needs to start.
//!
//! Deliberately absent: variables that a single tool is given on purpose; its own file sets them.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Variables that no child is given; `*` stands for any text.
const REMOVED: &[&str] = &[
    // Set by `cargo run` for this package. Build scripts that read them would run again, and half of
    // everything would be built again, whenever somebody also builds by hand.
    "CARGO_PKG_*",
    "CARGO_MANIFEST_*",
    // Build settings: programs are built as the workspace configures it, on every machine.
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
    // Settings for building, pulling and pushing images; those that choose the daemon are kept.
    "BUILDKIT_*",
    "BUILDX_*",
    "DOCKER_BUILDKIT",
    "DOCKER_CONTENT_TRUST*",
    "DOCKER_DEFAULT_PLATFORM",
    "SOURCE_DATE_EPOCH",
    // Secrets, and settings that change where a report goes: only the one tool that needs them gets them.
    "ACTIONS_*TOKEN",
    "BENCHER_*",
    "GH_TOKEN",
    "GITHUB_TOKEN",
    // Settings for where pip installs, and what it refuses; those for where packages come from are kept.
    "PIP_*",
    // Output that is parsed must be in English, with decimal points.
    "LANG",
    "LANGUAGE",
    "LC_*",
];

/// Exceptions from [`REMOVED`]: where pip finds packages, and how it reaches them.
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

/// The only variables for programs that are measured or make load: settings of Go, of memory
/// allocators, of nginx, of ThoughtGate itself and of proxies could all change a figure.
const TO_START: &[&str] = &["HOME", "LD_LIBRARY_PATH", "PATH", "VALGRIND_LIB"];

/// Open files that a load needs: its connections, each twice in the proxy, and some more.
const ENOUGH_FILES: u64 = 256;

/// Folder of temporary files, for this process and all children: `TMPDIR`, unless it cannot be written,
/// or has a name that cannot be put into configuration files.
pub fn temporary_folder() -> &'static Path {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
        let places = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
        let mut usable = places.iter().filter_map(|place| usable(place));
        usable.next().unwrap_or_else(std::env::temp_dir)
    });
    &FOLDER
}

/// `place`, absolute, if it can be written, and has a name in UTF-8 on one line.
fn usable(place: &Path) -> Option<PathBuf> {
    let place = std::path::absolute(place).ok()?;
    let is_text = place.to_str().is_some_and(|text| !text.contains('\n'));
    (is_text && tempfile::tempfile_in(&place).is_ok()).then_some(place)
}

/// Raises the limit of open files of this process, and so of all children, to the allowed maximum.
/// Returns that limit if it is too low for a load.
pub fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // May fail; the limit as it is may suffice.
    let _ = setrlimit(Resource::Nofile, raised);
    let current = getrlimit(Resource::Nofile).current;
    // `None` is no limit at all, which is enough.
    current.filter(|files| *files < ENOUGH_FILES)
}

/// The variables of this process without those that would change the results of a tool.
pub(super) fn clean() -> HashMap<OsString, OsString> {
    settled(std::env::vars_os().filter(|(key, _)| !is_removed(key)))
}

/// Only the variables in [`TO_START`].
pub(super) fn clear() -> HashMap<OsString, OsString> {
    let set = |key: &&str| Some((OsString::from(key), std::env::var_os(key)?));
    settled(TO_START.iter().filter_map(set))
}

fn settled(variables: impl Iterator<Item = (OsString, OsString)>) -> HashMap<OsString, OsString> {
    let own = [
        ("LC_ALL".into(), "C".into()),
        ("TMPDIR".into(), temporary_folder().into()),
    ];
    // Chained last: the map keeps the last value of a key, and `TMPDIR` may be among the variables.
    variables.chain(own).collect()
}

fn is_removed(key: &OsStr) -> bool {
    // No tool reads a variable whose name is not UTF-8.
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
