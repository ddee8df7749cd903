//! Any bytes as a snapshot. Few get past the checksum: see `restore_sealed`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rrcf_fuzz::restore(data));
