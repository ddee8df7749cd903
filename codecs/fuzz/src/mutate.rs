//! A fuzzer that does not need libFuzzer: it changes valid payloads at random, and also checks the
//! use of memory.
//!
//! `mutate COUNT SEED` tries COUNT changed inputs of each format; the same seed tries the same
//! inputs. `mutate COUNT SEED FORMAT` tries one format. An input that fails is written to
//! `crash-FORMAT-SEED-NUMBER`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::{env, fs};

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use thicket_codecs_fuzz::{FAMILIES, Family, Target, seeds};

/// Longest input in bytes.
const MAX_BYTES: usize = 8_192;
/// Memory that decoding may take: a fixed number of bytes, which holds the window of zstd, and a
/// number per byte of what the input expands to.
const MEMORY: u64 = (32 << 20) + 64 * 4_096;
/// One input in this number is measured.
const MEASURED: u64 = 16;

/// Pieces that matter in one of the formats.
const TOKENS: [&[u8]; 44] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b",",
    b":",
    b"\n",
    b"\0",
    b" ",
    b"=",
    b";",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"true",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0",
    b"9007199254740993",
    b"18446744073709551616",
    b"1795345200",
    b"\"ts\":",
    b"\"r\":{\"s\":",
    b"2026-11-22T10:00:60Z",
    b"\xff",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff\xff",
    b"\x9b\x7f",
    b"\xbf",
    b"\x81",
    b"\xdd\xff\xff\xff\xff",
    b"\xc1",
    b"\xc4\x82",
    b"\x12\x02",
    b"\x0a\x01",
    b"\xf8\x7f",
    b"21,5 \xc2\xb0C",
    b"\"n\":",
    b"\"bn\":\"a\",",
    b"\x1f\x8b\x08",
];

fn below(rng: &mut SplitMix64, limit: usize) -> usize {
    (rng.next_u64() % limit.max(1) as u64) as usize
}

fn mutate(data: &mut Vec<u8>, all: &[Vec<u8>], rng: &mut SplitMix64) {
    for _ in 0..1 + rng.next_u64().trailing_zeros() {
        let at = below(rng, data.len() + 1);
        let reach = 1 << below(rng, 7);
        let count = (1 + below(rng, reach)).min(data.len() - at);
        match below(rng, 9) {
            0 if at < data.len() => data[at] ^= 1 << below(rng, 8),
            1 if at < data.len() => data[at] = rng.next_u64() as u8,
            2 if at < data.len() => data[at] = data[at].wrapping_add([1, 255][below(rng, 2)]),
            3 => drop(data.drain(at..at + count)),
            4 => {
                let copied = data[at..at + count].to_vec();
                let to = below(rng, data.len() + 1);
                data.splice(to..to, copied);
            }
            5 => {
                let other = &all[below(rng, all.len())];
                let from = below(rng, other.len());
                let end = (from + 1 + below(rng, 40)).min(other.len());
                data.splice(at..at, other[from..end].iter().copied());
            }
            6 if below(rng, 20) == 0 => {
                let repeated = data[at..at + count].repeat(1 + below(rng, 60));
                data.splice(at..at, repeated);
            }
            7 if below(rng, 4) == 0 => data.truncate(at),
            _ => drop(data.splice(at..at, TOKENS[below(rng, TOKENS.len())].iter().copied())),
        }
        data.truncate(MAX_BYTES);
    }
}

fn run(family: Family, count: u64, seed: u64) -> bool {
    let corpus = seeds(family);
    let mut target = Target::new(family);
    let mut rng = SplitMix64::seed_from_u64(seed);
    let mut with_readings = 0_u64;
    for number in 0..count {
        let mut input = corpus[below(&mut rng, corpus.len())].clone();
        mutate(&mut input, &corpus, &mut rng);
        let tried = catch_unwind(AssertUnwindSafe(|| {
            if number % MEASURED > 0 {
                return target.check(&input);
            }
            let mut has_reading = false;
            let taken = allocation_counter::measure(|| has_reading = target.check(&input)).bytes_max;
            assert!(taken <= MEMORY, "{taken} bytes taken, {MEMORY} allowed");
            has_reading
        }));
        match tried {
            Ok(has_reading) => with_readings += u64::from(has_reading),
            Err(_) => {
                let file = format!("crash-{}-{seed}-{number}", name(family));
                fs::write(&file, &input).expect("the folder can be written to");
                eprintln!("input {number} of seed {seed} fails: see {file}");
                return false;
            }
        }
    }
    println!(
        "{}: {count} inputs of seed {seed}, {with_readings} with a reading: no failure found",
        name(family)
    );
    true
}

fn name(family: Family) -> String {
    match family {
        Family::Format(format) => format!("{format:?}").to_lowercase(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (count, seed, only) = match &arguments[..] {
        [count, seed] => (count.parse(), seed.parse(), None),
        [count, seed, only] => (count.parse(), seed.parse(), Some(only)),
        _ => return usage(),
    };
    let (Ok(count), Ok(seed)) = (count, seed) else { return usage() };
    let mut chosen = FAMILIES.into_iter().filter(|family| only.is_none_or(|only| *only == name(*family)));
    if chosen.clone().next().is_none() {
        return usage();
    }
    if chosen.all(|family| run(family, count, seed)) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage() -> ExitCode {
    eprintln!("mutate COUNT SEED [FORMAT]");
    ExitCode::FAILURE
}
