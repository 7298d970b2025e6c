//! The API on real plugins directories.
