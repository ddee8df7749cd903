//! Which checkpoint is kept, and which one a restore may use.

/// Whether a checkpoint at `seq` is written if one at `stored` is there. `save.lua` decides this inside Redis.
pub fn is_written(stored: Option<u64>, seq: u64) -> bool {
    stored.is_none_or(|stored| stored <= seq)
}

/// Whether a checkpoint has readings that the rows do not have: then a restore must not use it. `newest` is the
/// greatest seq of a row.
pub fn is_ahead(seq: u64, newest: Option<u64>) -> bool {
    newest.unwrap_or(0) < seq
}
