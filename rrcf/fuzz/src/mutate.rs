//! A fuzzer that does not need libFuzzer: it changes valid snapshots at random, and also checks the
//! use of memory.
//!
//! `mutate COUNT SEED` tries COUNT changed inputs; the same seed tries the same inputs. An input
//! that fails is written to `crash-SEED-NUMBER`, and `mutate FILE` tries it again. `mutate --seeds
//! FOLDER` writes the unchanged inputs, as a corpus for libFuzzer.

use std::alloc::{GlobalAlloc, Layout, System};
use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::{env, fs};

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use rrcf_fuzz::{parts, restore, seal, seeds};
use rrcf_rs::Forest;

/// The system's allocator, counting the bytes in use and their peak.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(USED.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the pointer comes from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Memory that decoding may take beyond the limit: a fixed number of bytes, and a number per byte
/// of the snapshot.
const ASIDE: (usize, usize) = (1 << 20, 32);

fn try_input(data: &[u8]) {
    if let Some((limit, snapshot)) = parts(data) {
        let before = USED.load(Relaxed);
        PEAK.store(before, Relaxed);
        drop(Forest::restore_within(snapshot, limit));
        let (taken, most) =
            (PEAK.load(Relaxed) - before, limit as usize + ASIDE.0 + ASIDE.1 * snapshot.len());
        assert!(taken <= most, "{taken} bytes taken, {most} allowed");
    }
    restore(data);
}

fn below(rng: &mut SplitMix64, limit: usize) -> usize {
    (rng.next_u64() % limit.max(1) as u64) as usize
}

fn one_of<T: Copy>(rng: &mut SplitMix64, all: &[T]) -> T {
    all[below(rng, all.len())]
}

const WORDS: [u32; 18] = [
    0,
    1,
    2,
    3,
    0xff,
    0x100,
    0x101,
    0xffff,
    0x1_0000,
    0x10_0000,
    0x100_0000,
    0x7fff_ffff,
    0x8000_0000,
    u32::MAX,
    // One, infinity, a NaN and the smallest number above zero.
    0x3f80_0000,
    0x7f80_0000,
    0x7fc0_0000,
    0x0080_0000,
];
const LONG_WORDS: [u64; 8] = [
    0,
    1,
    1 << 63,
    (1 << 63) - 1,
    u64::MAX,
    0x7ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7fef_ffff_ffff_ffff,
];
/// Bytes of the memory limit and of the sizes and counts in the header.
const HEADER: usize = 44;

fn mutate(data: &mut Vec<u8>, all: &[Vec<u8>], rng: &mut SplitMix64) {
    for _ in 0..1 + rng.next_u64().trailing_zeros() {
        if data.is_empty() {
            return;
        }
        let reach = if below(rng, 4) == 0 { HEADER.min(data.len()) } else { data.len() };
        let at = below(rng, reach);
        let count = 1 + below(rng, data.len() - at).min(one_of(rng, &[1, 4, 8, 64]) - 1);
        match below(rng, 12) {
            0 | 1 => data[at] ^= 1 << below(rng, 8),
            2 => data[at] = rng.next_u64() as u8,
            3 => data[at] = data[at].wrapping_add(one_of(rng, &[1, 255, 2, 254])),
            4 | 5 => overwrite(data, at, &one_of(rng, &WORDS).to_le_bytes()),
            6 => overwrite(data, at, &one_of(rng, &LONG_WORDS).to_le_bytes()),
            7 => {
                data.drain(at..at + count);
            }
            8 => {
                let copied = data[at..at + count].to_vec();
                let to = below(rng, data.len());
                data.splice(to..to, copied);
            }
            9 => {
                let other = &all[below(rng, all.len())];
                let from = below(rng, other.len());
                let end = (from + count).min(other.len());
                overwrite(data, at, &other[from..end]);
            }
            10 => data[at..at + count].fill(0),
            _ => data[0] = rng.next_u64() as u8,
        }
    }
}

fn overwrite(data: &mut [u8], at: usize, bytes: &[u8]) {
    for (to, &byte) in data[at..].iter_mut().zip(bytes) {
        *to = byte;
    }
}

fn run(count: u64, seed: u64) -> ExitCode {
    let corpus = seeds();
    for input in &corpus {
        assert!(Forest::restore(&input[1..]).is_ok(), "the inputs to begin with are snapshots");
        try_input(input);
    }
    let (mut rng, mut restored) = (SplitMix64::seed_from_u64(seed), 0_u64);
    for number in 0..count {
        let mut input = corpus[below(&mut rng, corpus.len())].clone();
        mutate(&mut input, &corpus, &mut rng);
        if below(&mut rng, 16) > 0 {
            seal(&mut input);
        }
        restored += u64::from(
            parts(&input).is_some_and(|(limit, bytes)| Forest::restore_within(bytes, limit).is_ok()),
        );
        if catch_unwind(|| try_input(&input)).is_err() {
            let file = format!("crash-{seed}-{number}");
            fs::write(&file, &input).expect("the folder can be written to");
            eprintln!("input {number} of seed {seed} fails: see {file}");
            return ExitCode::FAILURE;
        }
    }
    println!("{count} inputs of seed {seed}, {restored} of them restored: no failure found");
    ExitCode::SUCCESS
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match &arguments[..] {
        [flag, folder] if flag == "--seeds" => {
            fs::create_dir_all(folder).expect("the folder can be made");
            for (number, input) in seeds().iter().enumerate() {
                fs::write(format!("{folder}/seed-{number:03}"), input).expect("the folder can be written to");
            }
        }
        [file] => try_input(&fs::read(file).expect("the file can be read")),
        [count, seed] => match (count.parse(), seed.parse()) {
            (Ok(count), Ok(seed)) => return run(count, seed),
            _ => return usage(),
        },
        _ => return usage(),
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("mutate COUNT SEED | mutate FILE | mutate --seeds FOLDER");
    ExitCode::FAILURE
}
