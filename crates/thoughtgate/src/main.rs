//! The `thoughtgate` binary: reads the command line and reports an error. All else is in the library.

use std::process::ExitCode;

use thoughtgate_panic::say;

fn main() -> ExitCode {
    thoughtgate_panic::install();
    match thoughtgate::main(thoughtgate::Flags::read()) {
        Ok(code) => code,
        Err(error) => {
            say!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
