//! PostgreSQL.

mod pipeline;
mod redact;
mod scan;
mod startup;
mod wire;
