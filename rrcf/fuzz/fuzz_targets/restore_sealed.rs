//! Restores any bytes after correcting their header and checksum.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rrcf_fuzz::restore_sealed(data));
