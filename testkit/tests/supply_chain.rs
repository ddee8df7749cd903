//! The crates of others keep the rules of `deny.toml`, also where `cargo deny` is not installed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use spdx::{Expression, LicenseReq, ParseMode};
use toml::Table;

/// A crate in `Cargo.lock`.
#[derive(Debug)]
struct Package {
    name: String,
    version: String,
    /// The registry or repository; `None` for a crate of this repository.
    source: Option<String>,
    licence: Option<String>,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn rules() -> (String, Table) {
    let text = std::fs::read_to_string(repository().join("deny.toml")).unwrap();
    let table = text.parse().unwrap();
    (text, table)
}

/// Returns all crates that the workspace is built from.
fn packages() -> Vec<Package> {
    let output = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let package = |value: &Value| Package {
        name: text(&value["name"]).unwrap(),
        version: text(&value["version"]).unwrap(),
        source: text(&value["source"]),
        licence: text(&value["license"]),
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

fn texts(value: &toml::Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

#[test]
fn every_crate_has_an_allowed_licence_and_comes_from_the_registry() {
    let (_, rules) = rules();
    let allowed = texts(&rules["licenses"]["allow"]);
    let registries = texts(&rules["sources"]["allow-registry"]);
    let may = |licence: &LicenseReq| allowed.contains(&licence.to_string().as_str());
    let mut used = vec![false; allowed.len()];
    for package in packages().iter().filter(|package| package.source.is_some()) {
        let source = package.source.as_deref().unwrap().trim_start_matches("registry+");
        assert!(registries.contains(&source), "{package:?} is from elsewhere");
        let licence = package.licence.as_deref().unwrap_or_else(|| panic!("{package:?} has no licence"));
        let expression = Expression::parse_mode(licence, ParseMode::LAX).unwrap();
        assert!(expression.evaluate(may), "{package:?} has a licence that deny.toml does not allow");
        for requirement in expression.requirements() {
            let name = requirement.req.to_string();
            for (used, allowed) in used.iter_mut().zip(&allowed) {
                *used |= *allowed == name;
            }
        }
    }
    let unused: Vec<_> = allowed.iter().zip(used).filter(|(_, used)| !used).collect();
    assert!(unused.is_empty(), "no crate has these licences: {unused:?}");
}

#[test]
fn no_crate_is_banned_and_every_ban_has_its_reason() {
    let (_, rules) = rules();
    let packages = packages();
    for ban in rules["bans"]["deny"].as_array().unwrap() {
        let (name, reason) = (ban["crate"].as_str().unwrap(), ban["reason"].as_str().unwrap());
        assert!(!packages.iter().any(|package| package.name == name), "{name} is banned: {reason}");
    }
}

#[test]
fn every_watched_crate_is_used_in_the_version_that_was_looked_at() {
    let (text, _) = rules();
    let packages = packages();
    let (_, list) = text.split_once("# Crates to watch").unwrap();
    let mut watched = 0;
    for line in list.lines().filter_map(|line| line.strip_prefix("# - ")) {
        let (name_and_version, reason) = line.split_once(": ").unwrap();
        let (name, version) = name_and_version.split_once(' ').unwrap();
        let is_version = |found: &str| found == version || found.starts_with(&format!("{version}."));
        let found = packages.iter().any(|package| package.name == name && is_version(&package.version));
        assert!(found, "{name} {version} is not in Cargo.lock: look at its new version, and mend deny.toml");
        assert!(!reason.is_empty(), "{line}");
        watched += 1;
    }
    assert!(watched >= 5, "the list of watched crates is read");
}
