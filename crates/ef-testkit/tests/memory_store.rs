//! The fake keeps the contract that it stands in for.

use ef_testkit::MemoryStore;

ef_testkit::trace_store_conformance! {
    async { (MemoryStore::new(), ()) }
}
