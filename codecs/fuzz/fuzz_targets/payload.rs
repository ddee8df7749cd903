//! Decodes any bytes. The first byte chooses the format.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some((family, payload)) = data.split_first() {
        let family =
            thicket_codecs_fuzz::FAMILIES[usize::from(*family) % thicket_codecs_fuzz::FAMILIES.len()];
        thicket_codecs_fuzz::Target::new(family).check(payload);
    }
});
