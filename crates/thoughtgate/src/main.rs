//! Entry point of the `thoughtgate` binary: reads the command line, runs the library, reports its
//! error. Contains no other logic.

use std::process::ExitCode;

use thoughtgate_panic::say;

fn main() -> ExitCode {
    // First, so that a panic in any later line is reported too.
    thoughtgate_panic::install();
    match thoughtgate::main(thoughtgate::Flags::read()) {
        Ok(code) => code,
        Err(error) => {
            for line in thoughtgate::lines(&error) {
                say!("error: {line}");
            }
            ExitCode::from(2)
        }
    }
}
