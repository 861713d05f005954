//! The `ef` program.

fn main() -> std::process::ExitCode {
    ef_cli::main()
}
