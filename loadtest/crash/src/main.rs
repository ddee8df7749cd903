//! The program `thicket-crash`; everything is in the library of the same name.

fn main() -> std::process::ExitCode {
    thicket_crash::cli::main()
}
