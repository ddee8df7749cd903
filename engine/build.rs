//! Tells the program its version and the time of its build. The version is the version of the
//! package and the revision of the sources.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

#[path = "build/revision.rs"]
mod revision;

fn main() {
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    // The convention of reproducible builds.
    let given = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|seconds| seconds.trim().parse().ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    println!("cargo:rustc-env=BUILD_SECONDS={}", given.unwrap_or_else(now));
    println!("cargo:rerun-if-env-changed=THICKET_REVISION");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build/revision.rs");
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let given = std::env::var("THICKET_REVISION").ok().filter(|revision| !revision.is_empty());
    // A debug build does not ask git: each commit would compile the program again.
    let revision = match given {
        Some(revision) => revision,
        None if is_release => {
            for file in revision::files(Path::new("..")) {
                println!("cargo:rerun-if-changed={}", file.display());
            }
            revision::of(Path::new("..")).unwrap_or_else(|| "unknown revision".to_owned())
        }
        None => "debug build".to_owned(),
    };
    println!("cargo:rustc-env=BUILD_REVISION={revision}");
    println!("cargo:rustc-env=BUILD_VERSION={} ({revision})", env!("CARGO_PKG_VERSION"));
}
