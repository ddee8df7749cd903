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

/// Returns what a checkpoint is worth, as a logarithm: the rows that a restore without it would
/// replay, times the likelihood that its sensor returns, which is halved by each day of silence.
///
/// `rows` are the sensor's rows, and `days` is the time of the last checkpoint, in days since any
/// fixed moment. Since silence lowers the worth of all checkpoints alike, their order stays the
/// same, and Redis can keep them sorted.
pub fn worth(rows: u64, days: f64) -> f64 {
    (rows.max(1) as f64).log2() + days
}

/// Returns how many of the given checkpoints to evict, in their order, so that at least `excess`
/// bytes become free. `memory` are the bytes of each.
pub fn evicted(memory: impl IntoIterator<Item = u64>, excess: u64) -> usize {
    let mut free = 0;
    memory
        .into_iter()
        .take_while(|memory| {
            let is_needed = free < excess;
            free += memory;
            is_needed
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_silence_counts_as_much_as_half_of_the_rows() {
        assert!((worth(1_000, 20.0) - worth(2_000, 19.0)).abs() < 1e-9);
        assert!(worth(1_000, 20.0) > worth(999, 20.0) && worth(1_000, 20.0) > worth(1_000, 19.9));
        assert!(worth(0, 1.0) <= worth(1, 1.0));
    }

    #[test]
    fn no_more_checkpoints_are_evicted_than_the_excess_needs() {
        assert_eq!(evicted([5, 5, 5], 0), 0);
        assert_eq!(evicted([5, 5, 5], 5), 1);
        assert_eq!(evicted([5, 5, 5], 6), 2);
        assert_eq!(evicted([5, 5, 5], 100), 3);
    }
}
