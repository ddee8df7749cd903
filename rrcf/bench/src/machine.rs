//! The first lines of the output: the machine, the versions and the build.

use std::fs;
use std::thread::available_parallelism;

/// The lock file, which has the versions of this build.
const LOCK: &str = include_str!("../../../Cargo.lock");

/// Prints the processor, the cores, the versions and the build.
pub fn print() {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = available_parallelism().map_or(0, usize::from);
    println!("processor  {}, {cores} cores; one is used", processor(&cpuinfo));
    println!("versions   rrcf-rs {}, krcflib {}", locked(LOCK, "rrcf-rs"), locked(LOCK, "krcflib"));
    let vectors = if cfg!(target_feature = "avx2") { "AVX2 allowed" } else { "baseline instructions" };
    println!("built for  {}, {vectors}", std::env::consts::ARCH);
    println!("data       a wave with noise and spikes; continuous values unless the table says otherwise");
    if cfg!(debug_assertions) {
        println!("           WITHOUT OPTIMISATION: use --release");
    }
}

fn processor(cpuinfo: &str) -> &str {
    let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
    model.and_then(|line| line.split_once(": ")).map_or("unknown", |(_, name)| name.trim())
}

fn locked<'a>(lock: &'a str, package: &str) -> &'a str {
    lock.split("[[package]]")
        .find_map(|entry| entry.trim_start().strip_prefix(&format!("name = \"{package}\"\nversion = \"")))
        .and_then(|rest| rest.split('"').next())
        .unwrap_or("unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_come_from_the_lock_file() {
        assert_eq!(locked(LOCK, "rrcf-rs"), env!("CARGO_PKG_VERSION"));
        assert!(locked(LOCK, "krcflib").starts_with("4."));
        assert_eq!(locked(LOCK, "krcf"), "unknown");
    }

    #[test]
    fn the_processor_is_the_first_model_name() {
        assert_eq!(
            processor("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: b"),
            "Some CPU @ 2 GHz"
        );
        assert_eq!(processor(""), "unknown");
    }
}
