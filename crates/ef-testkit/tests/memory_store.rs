//! The fake keeps the contract that it stands in for.

use ef_testkit::conformance::MemoryBackend;

ef_testkit::trace_store_conformance! {
    async { MemoryBackend::default() }
}
