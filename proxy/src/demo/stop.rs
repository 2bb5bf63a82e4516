//! Whether someone pressed Ctrl-C or asked us to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::signal::unix::{SignalKind, signal};

use super::failure::DemoError;

/// Set by SIGINT, SIGTERM and SIGHUP from the moment it exists.
#[derive(Debug, Clone)]
pub(super) struct Stop {
    asked: Arc<AtomicBool>,
}

impl Stop {
    /// Starts to listen for the signals, on a thread that lasts as long as the process.
    pub(super) fn listen() -> Result<Self, DemoError> {
        let asked = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .map_err(DemoError::io("listen for signals"))?;
        let streams = {
            let _context = runtime.enter();
            let kinds = [
                SignalKind::interrupt(),
                SignalKind::terminate(),
                SignalKind::hangup(),
            ];
            kinds.map(signal)
        };
        let [int, term, hup] = streams;
        let listening = DemoError::io("listen for signals");
        let (mut int, mut term, mut hup) = match (int, term, hup) {
            (Ok(int), Ok(term), Ok(hup)) => (int, term, hup),
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
                return Err(listening(error));
            }
        };
        let flag = Arc::clone(&asked);
        thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = int.recv() => {}
                        _ = term.recv() => {}
                        _ = hup.recv() => {}
                    }
                    flag.store(true, Ordering::Release);
                }
            });
        });
        Ok(Self { asked })
    }

    /// Whether we were asked.
    pub(super) fn asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// An error once we were asked, so that `?` unwinds and everything is cleaned up.
    pub(super) fn check(&self) -> Result<(), DemoError> {
        if self.asked() {
            Err(DemoError::Stopped)
        } else {
            Ok(())
        }
    }
}
