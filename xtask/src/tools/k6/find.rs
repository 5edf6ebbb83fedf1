//! Chooses a k6: the one that `K6` names, else the first in `PATH`, else the installed one.
//!
//! One that is found but unusable is an error, and no other is tried: the user meant that one.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::install;
use super::version::{K6, check};

pub(super) fn find(
    named: Option<OsString>,
    path: Option<&OsStr>,
    tools_dir: &Path,
) -> anyhow::Result<K6> {
    // An empty variable counts as unset.
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        return check(&PathBuf::from(named)).context(
            "failed to use the k6 that the environment variable `K6` names (set it to one of \
             version 1 or 2, or unset it)",
        );
    }
    if let Some(found) = path.and_then(in_path) {
        return check(&found).context(
            "failed to use the first k6 in `PATH` (remove it, or set `K6` to one of version 1 or 2)",
        );
    }
    install::installed(tools_dir)
}

fn in_path(path: &OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        // An empty or relative entry would make the result depend on the current directory.
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join("k6"))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with an executable `k6` that runs `script`.
    fn fake(script: &str) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        // Written by another process: a file that this one had open for writing may still be
        // open in a child that another test is just starting, and cannot be run then.
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod 755 "$2""#;
        let path = named(&directory);
        let arguments = [
            "-c".as_ref(),
            write.as_ref(),
            "sh".as_ref(),
            script.as_ref(),
            &*path,
        ];
        assert!(
            std::process::Command::new("sh")
                .args(arguments)
                .status()
                .unwrap()
                .success()
        );
        directory
    }

    fn path_of(directories: &[&tempfile::TempDir]) -> OsString {
        std::env::join_paths(directories.iter().map(|directory| directory.path())).unwrap()
    }

    fn named(directory: &tempfile::TempDir) -> OsString {
        directory.path().join("k6").into_os_string()
    }

    #[test]
    fn the_named_one_comes_before_the_path() {
        let (first, second) = (fake("echo k6 v2.1.0"), fake("echo k6 v1.5.0"));
        let nowhere = Path::new("/nowhere");
        let found = find(Some(named(&first)), Some(&path_of(&[&second])), nowhere).unwrap();
        assert_eq!(
            (found.version(), found.path()),
            ("2.1.0", Path::new(&named(&first)))
        );
        let found = find(
            Some(OsString::new()),
            Some(&path_of(&[&second, &first])),
            nowhere,
        )
        .unwrap();
        assert_eq!(found.version(), "1.5.0");
    }

    #[test]
    fn the_installed_one_is_the_last_resort() {
        let (tools_dir, k6) = (tempfile::tempdir().unwrap(), fake("echo k6 v1.1.0"));
        let place = tools_dir.path().join("k6-1.1.0/bin");
        std::fs::create_dir_all(&place).unwrap();
        std::fs::rename(k6.path().join("k6"), place.join("k6")).unwrap();
        let found = find(None, Some(OsStr::new("/nowhere")), tools_dir.path()).unwrap();
        assert_eq!(found.path(), place.join("k6"));
    }

    fn refusal(script: &str, in_path: bool) -> String {
        let k6 = fake(script);
        let (env, path) = if in_path {
            (None, Some(path_of(&[&k6])))
        } else {
            (Some(named(&k6)), None)
        };
        let message = format!(
            "{:#}",
            find(env, path.as_deref(), Path::new("/nowhere")).unwrap_err()
        );
        message.replace(&*k6.path().to_string_lossy(), "DIR")
    }

    #[test]
    fn an_unusable_one_is_an_error_with_the_way_out() {
        assert_eq!(
            refusal("echo 'k6 v0.57.0 (go1.23)'", true),
            "failed to use the first k6 in `PATH` (remove it, or set `K6` to one of version 1 or \
             2): `DIR/k6` is version 0.57.0, but the scripts need 1.0 or later, before 3.0"
        );
        let broken = refusal("echo broken >&2; exit 2", false);
        assert!(
            broken.contains("set it to one of version 1 or 2, or unset it"),
            "{broken}"
        );
        assert!(
            broken.contains("failed to get the version of `DIR/k6`"),
            "{broken}"
        );
        assert!(broken.contains("broken"), "{broken}");
        let other = refusal("echo k7", true);
        let expected = "unexpected output of `DIR/k6 version`: \"k7\\n\", expected `k6 v…`";
        assert!(other.contains(expected), "{other}");
    }
}
