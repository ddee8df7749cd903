//! The publications that are lost.

/// The number of examples that are kept.
const MAX_EXAMPLES: usize = 10;

/// Counts the lost publications and keeps a text about the first ones.
#[derive(Default)]
pub(super) struct Losses {
    pub(super) count: u64,
    pub(super) examples: Vec<String>,
}

impl Losses {
    /// Adds `count` losses. Calls `example` only if its text is kept.
    pub(super) fn add(&mut self, count: u64, example: impl FnOnce() -> String) {
        self.count += count;
        if count > 0 && self.examples.len() < MAX_EXAMPLES {
            self.examples.push(example());
        }
    }
}
