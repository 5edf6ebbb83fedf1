//! Entry point of the `thoughtgate` binary: reads the command line, runs the library, reports its
//! error. Contains no other logic.

use std::process::ExitCode;

use thoughtgate_panic::{error, log};

fn main() -> ExitCode {
    // First, so that a panic in any later line is reported too.
    thoughtgate_panic::install();
    let code = thoughtgate::main(thoughtgate::Flags::read()).unwrap_or_else(|error| {
        for line in thoughtgate::lines(&error) {
            error!("{line}");
        }
        ExitCode::from(2)
    });
    log::flush();
    code
}
