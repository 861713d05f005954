//! Datasets (JSONL, JSON, CSV, Parquet, stdin) streamed as evaluation items.
