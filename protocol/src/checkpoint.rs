//! Which checkpoint is kept, and which believed.

/// Whether a checkpoint at `seq` is written, given the one that is there. Decided by the script of `checkpoint/store.rs`.
pub fn is_written(stored: Option<u64>, seq: u64) -> bool {
    stored.is_none_or(|stored| stored <= seq)
}

/// Whether a checkpoint knows readings that the rows do not have: it must not be restored from. `newest` is the greatest seq of a row.
pub fn is_ahead(seq: u64, newest: Option<u64>) -> bool {
    newest.unwrap_or(0) < seq
}
