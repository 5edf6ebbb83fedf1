//! Finds a compiler for an architecture: the toolchain's own, or else that of the system, which may
//! have a standard library that the toolchain lacks.

use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use super::super::process::{Launch, Output};
use super::command::ASK;

/// A compiler that can build for one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiler {
    /// First part of its target triple, such as `x86_64`.
    pub(super) architecture: &'static str,
    /// Path of the executable; none for the toolchain's own.
    pub(super) rustc: Option<PathBuf>,
    /// Output of `rustc --version`.
    pub version: String,
}

impl Compiler {
    /// Finds a compiler with a standard library, and a linker, for `architecture`.
    ///
    /// # Errors
    /// The command that installs what is missing.
    pub fn find(workspace: &Path, architecture: &'static str) -> Result<Compiler, String> {
        let target = target(architecture);
        let linker = linker(architecture);
        if !is_own(architecture) && ask(linker.as_ref(), &["--version"], workspace).is_none() {
            let debian = architecture.replace('_', "-");
            return Err(format!("apt-get install gcc-{debian}-linux-gnu"));
        }
        let candidates = [None].into_iter().chain(others().into_iter().map(Some));
        let mut able = candidates.filter_map(|rustc| {
            let program = rustc.clone().unwrap_or_else(own);
            let library = ["--print", "target-libdir", "--target", &target];
            let library = ask(&program, &library, workspace)?;
            let version = version(&program, workspace)?;
            // rustc prints the path of the library whether it is installed or not.
            Path::new(&library).is_dir().then_some((rustc, version))
        });
        let found = able.next();
        let (rustc, version) = found.ok_or_else(|| format!("rustup target add {target}"))?;
        Ok(Compiler {
            architecture,
            rustc,
            version,
        })
    }
}

/// Output of `--version` of a compiler in `workspace`, whose toolchain file may choose the compiler.
pub(super) fn version(rustc: &Path, workspace: &Path) -> Option<String> {
    ask(rustc, &["--version"], workspace)
}

/// Output of `program` in `workspace`; none if it is missing or fails.
fn ask(program: &Path, arguments: &[&str], workspace: &Path) -> Option<String> {
    let sh = Shell::new().ok()?;
    let launch = Launch::from(cmd!(sh, "{program} {arguments...}"));
    let output = launch.directory(workspace).run(ASK);
    let output = output.and_then(Output::success).ok()?;
    Some(output.stdout.text().trim().to_owned())
}

/// The toolchain's compiler: `RUSTC`, else `rustc` on `PATH`.
pub(super) fn own() -> PathBuf {
    std::env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from)
}

/// Other compilers: each `rustc` on `PATH`, and the one that distributions install.
fn others() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/bin".into()]);
    let mut found: Vec<PathBuf> = Vec::new();
    for rustc in folders.map(|folder| folder.join("rustc")) {
        // A relative entry of `PATH` would lead elsewhere in the workspace, where the compiler is run.
        if rustc.is_absolute() && rustc.is_file() && !found.contains(&rustc) {
            found.push(rustc);
        }
    }
    found
}

pub(super) fn is_own(architecture: &str) -> bool {
    architecture == std::env::consts::ARCH
}

pub(super) fn target(architecture: &str) -> String {
    format!("{architecture}-unknown-linux-gnu")
}

/// Debian's name of a C compiler for another architecture, which is what links for it too.
pub(super) fn linker(architecture: &str) -> String {
    format!("{architecture}-linux-gnu-gcc")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_with_the_command_that_gets_it() {
        let here = Path::new(".");
        let own = Compiler::find(here, std::env::consts::ARCH).unwrap();
        assert_eq!(own.rustc, None);
        assert!(own.version.starts_with("rustc "), "{own:?}");
        let hint = Compiler::find(here, "pdp_11").unwrap_err();
        assert_eq!(hint, "apt-get install gcc-pdp-11-linux-gnu");
    }
}
