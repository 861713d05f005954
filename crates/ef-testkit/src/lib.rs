//! Conformance suites, fakes and fault injection for eval-fabric.
