//! The binary `weft-shop`: hands its arguments to the library, which does everything.

use std::process::ExitCode;

fn main() -> ExitCode {
    weft_shop::run_from_args(std::env::args_os())
}
