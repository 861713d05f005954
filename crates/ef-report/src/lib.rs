//! A finished run as text and JSON.
