//! A relay in front of a server that falls silent when it is told to: it takes connections and carries no byte more.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// The relay. Its threads end with the process.
pub(crate) struct Far {
    pub(crate) port: u16,
    silent: Arc<AtomicBool>,
    held: Arc<AtomicUsize>,
}

impl Far {
    pub(super) fn open(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (silent, held) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let far = Self {
            port,
            silent: Arc::clone(&silent),
            held: Arc::clone(&held),
        };
        thread::spawn(move || {
            let mut kept = Vec::new();
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                if silent.load(Ordering::SeqCst) {
                    kept.push(stream);
                    held.fetch_add(1, Ordering::SeqCst);
                    continue;
                }
                let server = TcpStream::connect(("127.0.0.1", to)).unwrap();
                let ways = [(&stream, &server), (&server, &stream)];
                for (from, to) in ways.map(|(from, to)| (from.try_clone(), to.try_clone())) {
                    thread::spawn(move || carry(from.unwrap(), to.unwrap()));
                }
            }
        });
        far
    }

    /// Takes what comes and says nothing more.
    pub(crate) fn fall_silent(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    /// How many connections have come since.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut chunk) {
        if to.write_all(&chunk[..count]).is_err() {
            break;
        }
    }
    drop(to.shutdown(Shutdown::Write));
}
