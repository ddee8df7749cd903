//! What a test says when it cannot run here.

use std::io::Write as _;

/// Prints which test is skipped, and why. Not by `eprintln`, which the harness of a test that passes
/// hides.
pub fn skipped(test: &str, why: &str) {
    // Without a standard error, nobody reads it.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}
