//! The copy of the subject, and the refusal of other files.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn a_later_build_does_not_overwrite_what_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let (path, stores) = (folder.path().join("thoughtgate"), [folder.path().join("s")]);
    std::fs::write(&path, "abc").unwrap();
    let subject = Subject::built(HEAD, folder.path(), &path, &stores).unwrap();
    std::fs::write(&path, "another").unwrap();
    assert_eq!(std::fs::read(&subject.binary).unwrap(), b"abc");
    let mode = subject.binary.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o555, "executable, and written by nobody");
    // The example of FIPS 180-2, B.1.
    let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!((subject.sha256.as_str(), subject.length), (expected, 3));
    assert_eq!(subject.file().sha256, subject.arm().sha256);
    assert_eq!(subject.file().path, "thoughtgate");
    assert_eq!(
        subject.arm().revision,
        None,
        "a folder without a repository"
    );
}

#[test]
fn a_copy_that_was_changed_is_made_anew_and_old_ones_go() {
    let folder = tempfile::tempdir().unwrap();
    let stores = [folder.path().to_path_buf()];
    let copy = copy::aside(b"abc", "hash", &stores).unwrap();
    std::fs::remove_file(&copy).unwrap();
    std::fs::write(&copy, "changed").unwrap();
    assert_eq!(copy::aside(b"abc", "hash", &stores).unwrap(), copy);
    assert_eq!(std::fs::read(&copy).unwrap(), b"abc");
    for number in 0..20 {
        copy::aside(b"x", &format!("hash{number}"), &stores).unwrap();
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 8);
}

#[test]
fn a_store_that_cannot_be_written_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let (file, other) = (folder.path().join("file"), folder.path().join("other"));
    std::fs::write(&file, "").unwrap();
    let copy = copy::aside(b"abc", "hash", &[file.clone(), other.clone()]).unwrap();
    assert!(copy.starts_with(&other));
    let error = copy::aside(b"abc", "hash", std::slice::from_ref(&file)).unwrap_err();
    let expected = format!("failed to copy the binary into `{}`", file.display());
    assert!(format!("{error:#}").starts_with(&expected), "{error:#}");
}

#[test]
fn what_is_built_from_source_is_not_had_for_a_binary_that_was_given() {
    let folder = tempfile::tempdir().unwrap();
    let (path, stores) = (folder.path().join("x"), [folder.path().join("s")]);
    std::fs::write(&path, "abc").unwrap();
    let given = Subject::given(HEAD, &path, &path, &stores).unwrap();
    let error = given.checkout("the benchmark is").unwrap_err();
    let unavailable = error.downcast_ref::<Unavailable>().unwrap();
    assert_eq!(unavailable.hint, "measure without --binary");
    assert_eq!(
        given.arm().revision,
        None,
        "the revision of the checkout is not that of a given binary"
    );
}

/// An ELF header of this type and machine.
fn elf(form: u8, machine: u8) -> Vec<u8> {
    let mut header = b"\x7fELF\x02\x01\x01".to_vec();
    header.resize(16, 0);
    header.extend([form, 0, machine, 0]);
    header
}

#[cfg(target_os = "linux")]
#[test]
fn files_that_are_not_executables_for_this_machine_are_told_apart() {
    let mut tar = vec![0; 257];
    tar.extend(b"ustar\0");
    let cases: &[(&[u8], Option<&str>)] = &[
        (&elf(3, 62), None),
        (&elf(2, 62), None),
        (
            &elf(3, 183),
            Some("built for aarch64, but this machine is x86_64"),
        ),
        (
            &elf(3, 3),
            Some("built for x86, but this machine is x86_64"),
        ),
        (
            &elf(3, 7),
            Some("built for an unknown architecture, but this machine is x86_64"),
        ),
        (&elf(1, 62), Some("an object file or a core dump")),
        (&elf(3, 62)[..17], Some("truncated")),
        (b"#!/bin/sh\nexec thoughtgate\n", Some("a script")),
        (b"\x1f\x8b\x08\0", Some("a gzip archive")),
        (b"PK\x03\x04", Some("a zip archive")),
        (b"\xcf\xfa\xed\xfe", Some("an executable for macOS")),
        (&tar, Some("a tar archive")),
        (b"FROM scratch", Some("not an executable")),
        (b"", Some("empty")),
    ];
    for (bytes, expected) in cases {
        let found = kind::unfit(bytes, "x86_64");
        assert_eq!(found.as_deref(), *expected, "{bytes:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn another_program_and_what_is_none_are_refused_with_one_error() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |path: &Path| format!("{:#}", given(path).unwrap_err());
    let message = refusal(&folder.path().join("none"));
    assert!(
        message.starts_with("failed to find the binary"),
        "{message}"
    );
    let message = refusal(folder.path());
    assert!(message.ends_with("is not a file"), "{message}");
    let script = folder.path().join("wrap");
    std::fs::write(&script, "#!/bin/sh\nthoughtgate \"$@\"\n").unwrap();
    let message = refusal(&script);
    assert!(
        message.contains("is a script: give a thoughtgate"),
        "{message}"
    );
    // `true` succeeds whatever it is asked for; a test runner knows no such option.
    let message = refusal(Path::new("/bin/true"));
    assert!(message.contains("is not thoughtgate: its"), "{message}");
    let other = std::env::current_exe().unwrap();
    let message = refusal(&other);
    assert!(
        message.contains("is not a thoughtgate executable for this machine: `"),
        "{message}"
    );
    // The same without the permission to run it.
    let copy = folder.path().join("copy");
    std::fs::copy(&other, &copy).unwrap();
    std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o644)).unwrap();
    let message = refusal(&copy);
    assert!(message.contains("Permission denied"), "{message}");
}
