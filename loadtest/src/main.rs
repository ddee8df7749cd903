//! The program `thicket-loadtest`; see [`thicket_loadtest::cli`].

fn main() -> std::process::ExitCode {
    thicket_loadtest::cli::main()
}
