//! Fuzzes the target `dataset_parquet` of ef-fuzz.
#![no_main]

use std::panic;
use std::sync::Mutex;

// The reader catches the decoder's panics: only one that reaches this far is a broken promise.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

fn remember(info: &panic::PanicHookInfo<'_>) {
    if let Ok(mut last) = LAST_PANIC.lock() {
        *last = info.to_string();
    }
}

libfuzzer_sys::fuzz_target!(init: panic::set_hook(Box::new(remember)), |bytes: &[u8]| {
    if panic::catch_unwind(|| ef_fuzz::check("dataset_parquet", bytes)).is_err() {
        eprintln!("{}", LAST_PANIC.lock().map_or_else(|_| String::new(), |last| last.clone()));
        std::process::abort();
    }
});
