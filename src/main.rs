//! Parses, runs, and ends with the documented exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    orderctl::cli::main()
}
