//! A forest with a full window allocates almost nothing during an update: only sometimes, when it
//! needs more boxes or buckets than ever before.

#![allow(unsafe_code, reason = "only the global allocator sees every allocation, and its trait is unsafe")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use rrcf_rs::Forest;

/// The system's allocator, counting allocations per thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer comes from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_full_window_allocates_next_to_nothing() {
    for (dimensions, shingle, window) in [(1, 1, 1), (1, 8, 64), (3, 1, 300), (2, 3, 100)] {
        let mut forest =
            Forest::builder(dimensions).trees(5).window(window).shingle(shingle).build().unwrap();
        let mut contributions = vec![0.0; dimensions * shingle];
        let mut point = vec![0.0; dimensions];
        let mut before = 0;
        for n in 0..(80 * window + 100) as u32 {
            if n as usize == 40 * window + 2 * shingle {
                before = ALLOCATIONS.get();
            }
            for (d, value) in point.iter_mut().enumerate() {
                *value = (n % 4_000).wrapping_mul(2_654_435_761).wrapping_shr(12) as f32 + d as f32;
            }
            forest.update(&point).unwrap();
            forest.update_attributed(&point, &mut contributions).unwrap();
        }
        let (allocations, updates) = (ALLOCATIONS.get() - before, 2 * 40 * window);
        assert!(allocations <= 1 + updates / 250, "{allocations} in {updates} updates");
    }
    let before = ALLOCATIONS.get();
    drop(Forest::builder(1).build().unwrap());
    assert!(ALLOCATIONS.get() > before, "allocations are counted at all");
}
