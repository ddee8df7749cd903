//! The publications without a row, which are lost or only dead letters, and the rows without a
//! publication.

/// The number of examples that are kept.
const MAX_EXAMPLES: usize = 10;

/// Counts them, and keeps a text about the first ones that are lost.
#[derive(Default)]
pub(super) struct Losses {
    pub(super) count: u64,
    pub(super) examples: Vec<String>,
    /// Well-formed readings with a dead letter and no equal row. They are not lost.
    pub(super) only_dead_letters: u64,
    /// Rows that equal no publication.
    pub(super) unexpected: u64,
    pub(super) unexpected_examples: Vec<String>,
}

impl Losses {
    /// Adds `count` losses. Calls `example` only if its text is kept.
    pub(super) fn add(&mut self, count: u64, example: impl FnOnce() -> String) {
        self.count += count;
        if count > 0 && self.examples.len() < MAX_EXAMPLES {
            self.examples.push(example());
        }
    }

    /// Adds a row that equals no publication.
    pub(super) fn add_unexpected(&mut self, example: impl FnOnce() -> String) {
        self.unexpected += 1;
        if self.unexpected_examples.len() < MAX_EXAMPLES {
            self.unexpected_examples.push(example());
        }
    }
}
