//! The attacks: a hostile client or target per class, against the real binary.
