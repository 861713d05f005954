//! Fuzzes the target `store_uri` of ef-fuzz.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ef_fuzz::check("store_uri", bytes);
});
