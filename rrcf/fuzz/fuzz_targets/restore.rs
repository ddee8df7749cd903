//! Restores any bytes. Few of them pass the checksum: see `restore_sealed`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| rrcf_fuzz::restore(data));
