//! The `thoughtgate` binary: reads the command line and reports an error. All else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    match thoughtgate::main(thoughtgate::Flags::read()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("thoughtgate: error: {error:#}");
            ExitCode::from(2)
        }
    }
}
