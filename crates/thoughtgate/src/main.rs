//! The `thoughtgate` binary: arguments, configuration, wiring, signals, drain.
//!
//! It handles no request and makes no decision; those are `thoughtgate-proxy` and
//! `thoughtgate-policy`.

mod approvals;
mod cgroup;
mod config;
mod flags;
mod overlay;
mod policies;
mod reload;
mod run;
mod settings;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match run::main(flags::Flags::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("thoughtgate: error: {error:#}");
            ExitCode::from(2)
        }
    }
}
