//! What connections are carried to in these tests, and how they are come by.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long something that should come is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Something behind the target that answers each connection by itself.
pub(crate) struct Service {
    pub(crate) port: u16,
    /// What each connection brought, once it has ended.
    heard: Receiver<Vec<u8>>,
}

impl Service {
    /// Sends back what it gets, and the word `end` when no more comes.
    pub(crate) fn echo() -> Self {
        Self::new(|stream, heard| {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                let came = buffer.get(..count).unwrap();
                if heard.len() < 64 * 1024 {
                    heard.extend_from_slice(came);
                }
                if stream.write_all(came).is_err() {
                    return;
                }
            }
            drop(stream.write_all(b"end"));
        })
    }

    pub(crate) fn new(serve: fn(&mut TcpStream, &mut Vec<u8>)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, heard) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, tell) = (stream.unwrap(), tell.clone());
                thread::spawn(move || {
                    let mut heard = Vec::new();
                    serve(&mut stream, &mut heard);
                    drop(stream.shutdown(Shutdown::Both));
                    drop(tell.send(heard));
                });
            }
        });
        Self { port, heard }
    }

    pub(crate) fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What one connection brought.
    pub(crate) fn heard(&self) -> Vec<u8> {
        self.heard.recv_timeout(PATIENCE).unwrap()
    }

    pub(crate) fn has_heard_nothing(&self) -> bool {
        self.heard.try_recv().is_err()
    }
}

/// A connection to a port, as soon as somebody listens there.
pub(crate) fn connect(port: u16) -> TcpStream {
    let started = Instant::now();
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => return stream,
            Err(refused) => assert!(started.elapsed() < PATIENCE, "{refused}"),
        }
        thread::sleep(Duration::from_millis(50));
    }
}

pub(crate) fn end(mut ssh: Child) {
    ssh.kill().unwrap();
    ssh.wait().unwrap();
}
