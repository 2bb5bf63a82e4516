//! The `tidegate` binary: server and client in one.

use std::process::ExitCode;

use clap::Parser;
use proxy::cli::{Cli, run};

/// Sessions allocate and free buffers of the same few sizes all day, on many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // Installed before anything can ask for it: with two providers to choose from, rustls panics.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    run(Cli::parse()).await
}
