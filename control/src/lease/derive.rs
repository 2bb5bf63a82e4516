//! Why a lease is over.
