//! The kind of a file by its first bytes, for the message why it cannot be measured.

/// First bytes of archives and of executables of other systems.
const BEGINNINGS: &[(&[u8], &str)] = &[
    (b"#!", "a script"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"BZh", "a bzip2 archive"),
    (b"PK\x03\x04", "a zip archive"),
    (b"!<arch>\n", "a package or a static library"),
    (b"\xed\xab\xee\xdb", "a package"),
    (b"MZ", "an executable for Windows"),
    (b"\xcf\xfa\xed\xfe", "an executable for macOS"),
    (b"\xca\xfe\xba\xbe", "an executable for macOS"),
    (b"\0asm", "a WebAssembly module"),
];
/// Offset and magic of a tar archive, such as a saved image.
const TAR: (usize, &[u8]) = (257, b"ustar");

/// Architectures: the number in ELF, and the name in Rust.
const MACHINES: &[(u16, &str)] = &[
    (3, "x86"),
    (21, "powerpc64"),
    (22, "s390x"),
    (40, "arm"),
    (62, "x86_64"),
    (183, "aarch64"),
    (243, "riscv64"),
    (258, "loongarch64"),
];
const LITTLE_ENDIAN: u8 = 1;
const EXECUTABLE: u16 = 2;
/// Position-independent executables, and shared libraries.
const DYNAMIC: u16 = 3;

/// The kind of a file that is not an executable for `architecture`; none for one that is. On systems
/// other than Linux executables have other formats, and only an empty file is recognised.
pub(super) fn unfit(bytes: &[u8], architecture: &str) -> Option<String> {
    if bytes.is_empty() {
        return Some("empty".to_owned());
    }
    if !cfg!(target_os = "linux") {
        return None;
    }
    if let Some(header) = bytes.strip_prefix(b"\x7fELF") {
        return unfit_elf(header, architecture);
    }
    // A tar archive begins with the name of its first file, so that its magic number is further on.
    let is_tar = bytes
        .get(TAR.0..)
        .is_some_and(|rest| rest.starts_with(TAR.1));
    let mut known = BEGINNINGS.iter();
    let kind = if is_tar {
        "a tar archive"
    } else {
        known
            .find(|(beginning, _)| bytes.starts_with(beginning))
            .map_or("not an executable", |(_, kind)| kind)
    };
    Some(kind.to_owned())
}

/// `header` is the ELF header without its magic number.
fn unfit_elf(header: &[u8], architecture: &str) -> Option<String> {
    let word = |at: usize| {
        let bytes = [*header.get(at)?, *header.get(at + 1)?];
        let is_little = header.get(1) == Some(&LITTLE_ENDIAN);
        Some(if is_little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    };
    // `e_type` and `e_machine` follow the 16 bytes of `e_ident`.
    let (Some(form), Some(machine)) = (word(12), word(14)) else {
        return Some("truncated".to_owned());
    };
    let known = MACHINES.iter().find(|(number, _)| *number == machine);
    let name = known.map_or("an unknown architecture", |(_, name)| name);
    if name != architecture {
        return Some(format!(
            "built for {name}, but this machine is {architecture}"
        ));
    }
    let runs = matches!(form, EXECUTABLE | DYNAMIC);
    (!runs).then(|| "an object file or a core dump".to_owned())
}
