//! What a hosted runner lacks for a job. Only there anything is installed: on other machines `doctor`
//! says what is missing.

use std::time::Duration;

use crate::flags::JobFlag;
use crate::interrupt;
use crate::metrics::report::announce;
use crate::tools::process::{Launch, Output};

/// With the lists of packages.
const INSTALL: Duration = Duration::from_secs(300);

/// Debian packages, and targets of rustup, by job.
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

/// Installs it. What cannot be had is a warning: the metrics that need it say so too.
pub fn prepare(job: JobFlag) -> anyhow::Result<()> {
    let hosted = std::env::var("RUNNER_ENVIRONMENT").is_ok_and(|kind| kind == "github-hosted");
    let needs = NEEDS.iter().find(|needs| needs.0 == job);
    let Some((_, packages, targets)) = needs.filter(|_| hosted) else {
        return Ok(());
    };
    let apt = |arguments: &[&str]| Launch::new("sudo").arg("apt-get").args(arguments);
    let mut commands = vec![
        apt(&["update", "--quiet"]),
        apt(&["install", "--yes", "--quiet", "--no-install-recommends"]).args(*packages),
    ];
    for target in *targets {
        commands.push(Launch::new("rustup").args(["target", "add", target]));
    }
    for command in commands {
        let run = command.run(INSTALL).and_then(Output::success);
        let Err(error) = run else {
            continue;
        };
        if interrupt::cause(&error).is_some() {
            return Err(error);
        }
        announce::warning(&format!("{error:#}"));
    }
    Ok(())
}
