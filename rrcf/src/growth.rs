//! Growth of vectors: in proportion to their content, with little slack.

use alloc::vec::Vec;

/// Makes room for `extra` more elements. Grows by half, to at most `limit` elements in all.
pub(crate) fn make_room<T>(vec: &mut Vec<T>, extra: usize, limit: usize) {
    let needed = vec.len() + extra;
    if needed > vec.capacity() {
        let roomy = vec.capacity() + vec.capacity() / 2;
        let target = roomy.max(8).min(limit).max(needed);
        vec.reserve_exact(target - vec.len());
    }
}

/// Makes room for at least `extra` more elements. Grows by a thirty-second, for large vectors that
/// seldom grow.
pub(crate) fn grow_slowly<T>(vec: &mut Vec<T>, extra: usize) {
    if vec.len() + extra > vec.capacity() {
        vec.reserve_exact(extra.max(vec.len() / 32));
    }
}

/// Returns the bytes that a vector occupies on the heap.
pub(crate) fn heap_bytes<T>(vec: &Vec<T>) -> usize {
    vec.capacity() * size_of::<T>()
}

#[cfg(test)]
mod tests {
    use super::{grow_slowly, make_room};

    #[test]
    fn a_vector_stops_growing_at_its_limit() {
        let mut vec = Vec::new();
        for i in 0..100 {
            make_room(&mut vec, 1, 100);
            vec.push(i);
            assert!(vec.capacity() <= 100);
        }
        assert_eq!(vec.capacity(), 100);
    }

    #[test]
    fn slow_growth_leaves_little_slack() {
        let mut vec = Vec::new();
        for i in 0..10_000 {
            grow_slowly(&mut vec, 1);
            vec.push(i);
            assert!(vec.capacity() <= vec.len() + vec.len() / 32 + 1);
        }
    }
}
