//! Any bytes as what a snapshot holds, behind a right beginning and before a right checksum.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rrcf_fuzz::restore_sealed(data));
