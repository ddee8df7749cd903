//! No crate of the workspace has an import cycle: neither between two of its files nor between two
//! of its directories.
//!
//! - `source`: reads a crate's files into modules, with what they define and import
//! - `resolve`: finds the file that defines an imported item
//! - `cycles`: the graphs of files and of directories, and their cycles
//! - `planted`: the check finds cycles that were put there on purpose
//!
//! Only imports are read: `use` lines, wherever they stand. `mod` declarations are not imports. An
//! item that a module re-exports counts as imported from the file that defines it. Modules named
//! `tests` or under `cfg(test)` are left out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod cycles;
mod planted;
mod resolve;
mod source;

use std::path::{Path, PathBuf};

use cycles::cycles_of;

/// The directories of all members of the workspace.
fn members(root: &Path) -> Vec<PathBuf> {
    let manifest: toml::Table = std::fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    let members = manifest["workspace"]["members"].as_array().unwrap();
    members.iter().map(|member| root.join(member.as_str().unwrap())).collect()
}

#[test]
fn no_two_files_and_no_two_directories_of_a_crate_import_each_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let members = members(root);
    assert!(members.len() > 10, "the members of the workspace: {members:?}");
    let cycles: Vec<String> = members.iter().flat_map(|member| cycles_of(&member.join("src"))).collect();
    let shown = cycles.join("\n\n").replace(&format!("{}/", root.display()), "");
    assert!(cycles.is_empty(), "{} import cycles\n\n{shown}\n", cycles.len());
}
