//! The `tidegate` binary: server and client in one.

use std::process::ExitCode;

use proxy::cli::{read, run};

/// Sessions allocate and free buffers of the same few sizes all day, on many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // Installed before anything can ask for it: with two providers to choose from, rustls panics.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    match read(std::env::args_os()) {
        Ok(cli) => run(cli).await,
        Err(told) => told,
    }
}
