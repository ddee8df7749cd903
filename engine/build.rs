//! Tells the program its version: the version of the package, and the revision of the sources.

use std::path::Path;

#[path = "build/revision.rs"]
mod revision;

fn main() {
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
