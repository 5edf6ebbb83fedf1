//! Installs what a hosted runner lacks for a job. On other machines nothing is installed: `doctor` prints
//! what is missing.

use std::time::Duration;

use xshell::{Shell, cmd};

use crate::flags::JobFlag;
use crate::interrupt;
use crate::metrics::report::annotate;
use crate::tools::process::{Launch, Output};

/// Time limit of one command, such as the download of the package lists.
const INSTALL: Duration = Duration::from_secs(300);

/// Debian packages and rustup targets, by job.
const NEEDS: &[(JobFlag, &[&str], &[&str])] = &[
    (
        JobFlag::Container,
        &[
            "gcc-aarch64-linux-gnu",
            "libc6-dev-arm64-cross",
            "nginx-light",
        ],
        &["aarch64-unknown-linux-gnu"],
    ),
    (JobFlag::Load, &["nginx-light"], &[]),
    (JobFlag::Bench, &["valgrind"], &[]),
    (JobFlag::Compare, &["valgrind"], &[]),
    (
        JobFlag::Image,
        &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
        &["aarch64-unknown-linux-gnu"],
    ),
];

/// Installs what `job` needs. A failure is a warning: the metrics that need the tool report it, too.
pub fn prepare(job: JobFlag) -> anyhow::Result<()> {
    let hosted = std::env::var("RUNNER_ENVIRONMENT").is_ok_and(|kind| kind == "github-hosted");
    let needs = NEEDS.iter().find(|needs| needs.0 == job);
    let Some(&(_, packages, targets)) = needs.filter(|_| hosted) else {
        return Ok(());
    };
    let sh = Shell::new()?;
    let mut commands = vec![
        cmd!(sh, "sudo apt-get update --quiet"),
        cmd!(
            sh,
            "sudo apt-get install --yes --quiet --no-install-recommends {packages...}"
        ),
    ];
    for target in targets {
        commands.push(cmd!(sh, "rustup target add {target}"));
    }
    for command in commands {
        let run = Launch::from(command).run(INSTALL);
        let run = run.and_then(Output::success);
        let Err(error) = run else {
            continue;
        };
        if interrupt::cause(&error).is_some() {
            return Err(error);
        }
        annotate::warning(&format!("{error:#}"));
    }
    Ok(())
}
