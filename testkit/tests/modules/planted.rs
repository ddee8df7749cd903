//! The check finds cycles that were put there on purpose, and nothing else.

use crate::cycles::cycles_of;

/// Writes the files of a crate and returns its cycles.
fn cycles(files: &[(&str, &str)]) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let prefix = format!("{}/", directory.path().display());
    cycles_of(directory.path()).iter().map(|cycle| cycle.replace(&prefix, "")).collect()
}

#[test]
fn a_cycle_between_two_files_is_found_and_named() {
    let found = cycles(&[
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::{self, B}; pub struct A;"),
        ("b.rs", "pub struct B; pub fn f() { use super::a::A; }"),
        ("c.rs", "use crate::a::A;"),
    ]);
    let expected = "between files:\n  a.rs\n    a.rs: use crate::b\n  b.rs\n    b.rs: use super::a::A";
    assert_eq!(found, [expected]);
}

#[test]
fn a_cycle_between_two_directories_is_found_although_no_files_form_one() {
    let found = cycles(&[
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "mod x; mod y;"),
        ("a/x.rs", "use crate::b::z::Z;"),
        ("a/y.rs", "pub struct Y;"),
        ("b.rs", "pub mod w; pub mod z;"),
        ("b/w.rs", "use crate::a::y::Y;"),
        ("b/z.rs", "pub struct Z;"),
    ]);
    let expected =
        "between directories:\n  a\n    a/x.rs: use crate::b::z::Z\n  b\n    b/w.rs: use crate::a::y::Y";
    assert_eq!(found, [expected]);
}

#[test]
fn a_cycle_between_two_directories_through_a_file_is_found() {
    let found = cycles(&[
        ("lib.rs", "mod a; mod b; mod file;"),
        ("a/mod.rs", "mod x; mod y;"),
        ("a/x.rs", "use crate::file::F;"),
        ("a/y.rs", "pub struct Y;"),
        ("file.rs", "use crate::b::z::Z; pub struct F;"),
        ("b/mod.rs", "pub mod w; pub mod z;"),
        ("b/w.rs", "use crate::a::y::Y;"),
        ("b/z.rs", "pub struct Z;"),
    ]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("between directories:") && found[0].contains("file.rs: use crate::b::z::Z"));
}

#[test]
fn a_child_that_imports_what_its_parent_defines_is_a_cycle_if_the_parent_imports_the_child() {
    let lib = "mod child; pub use child::Child; pub const LIMIT: u32 = 1;";
    let found = cycles(&[("lib.rs", lib), ("child.rs", "use crate::LIMIT; pub struct Child;")]);
    let expected =
        "between files:\n  child.rs\n    child.rs: use crate::LIMIT\n  lib.rs\n    lib.rs: use child::Child";
    assert_eq!(found, [expected]);
    let lib = "mod child; pub const LIMIT: u32 = 1;";
    assert!(cycles(&[("lib.rs", lib), ("child.rs", "use super::LIMIT;")]).is_empty());
}

#[test]
fn an_item_that_a_parent_re_exports_is_imported_from_the_file_that_defines_it() {
    let found = cycles(&[
        ("lib.rs", "mod a; mod b; mod c; pub use a::A; pub use b::*; pub use crate::c::inner;"),
        ("a.rs", "pub struct A;"),
        ("b.rs", "use crate::A; pub struct B;"),
        ("c/mod.rs", "use crate::{A, B}; pub mod inner; mod d; pub use d::deep;"),
        ("c/inner.rs", "use super::deep::D; pub struct I;"),
        ("c/d.rs", "pub mod deep { pub struct D; }"),
    ]);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn tests_other_crates_and_a_files_own_modules_are_left_out() {
    let found = cycles(&[
        ("lib.rs", "mod a; mod b; use std::fmt::Debug;"),
        (
            "a.rs",
            "use crate::b::B; mod inline { use super::A; } pub struct A; #[cfg(test)] mod tests { use crate::b::B; }",
        ),
        (
            "b.rs",
            "pub struct B; #[cfg(test)] mod checks { use crate::a::A; } #[cfg(test)] use crate::a::A; mod tests;",
        ),
        ("b/tests.rs", "use crate::a::A;"),
    ]);
    assert!(found.is_empty(), "{found:?}");
}
