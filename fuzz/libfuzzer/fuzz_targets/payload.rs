//! Fuzzes the target `payload` of ef-fuzz.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    ef_fuzz::check("payload", bytes);
});
