//! The binary `weft-controller`.

fn main() -> std::process::ExitCode {
    weft_controller::app::main_from_env()
}
