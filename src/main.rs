//! The `cflite` binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    cflite::cli::main()
}
