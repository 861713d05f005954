//! Fuzzes the target `dataset_json` of ef-fuzz.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ef_fuzz::check("dataset_json", bytes);
});
