//! Which checkpoint is stored, and which one a restore may use.

/// Returns whether a checkpoint at `seq` replaces the one at `stored`. `save.lua` decides this
/// inside Redis.
pub fn is_written(stored: Option<u64>, seq: u64) -> bool {
    stored.is_none_or(|stored| stored <= seq)
}

/// Returns whether a checkpoint contains readings that have no row. A restore must not use such a
/// checkpoint. `newest` is the greatest seq of a row.
pub fn is_ahead(seq: u64, newest: Option<u64>) -> bool {
    newest.unwrap_or(0) < seq
}
