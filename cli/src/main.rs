//! The binary `weft`: hands its arguments to the library, which does everything.

fn main() -> std::process::ExitCode {
    weft_cli::run(std::env::args_os())
}
