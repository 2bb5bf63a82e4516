//! A TCP balancer in front of servers: each new connection goes to the one that it is turned to. What is
//! connected stays where it is.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A balancer; its threads end with the test.
#[derive(Debug)]
pub struct Balancer {
    addr: SocketAddr,
    to: Arc<Mutex<SocketAddr>>,
}

impl Balancer {
    /// Listens on a free loopback port, turned to `to`.
    ///
    /// # Panics
    ///
    /// When there is no port, or `to` is no address.
    pub fn to(to: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let addr = listener.local_addr().expect("it has an address");
        let to = Arc::new(Mutex::new(to.parse().expect("an address")));
        let target = Arc::clone(&to);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let to = *target.lock().unwrap_or_else(PoisonError::into_inner);
                if let Ok(far) = TcpStream::connect(to) {
                    both_ways(near, far);
                }
            }
        });
        Self { addr, to }
    }

    /// Where it listens.
    pub fn addr(&self) -> String {
        self.addr.to_string()
    }

    /// Sends what connects from here on to `to`.
    ///
    /// # Panics
    ///
    /// When `to` is no address.
    pub fn turn(&self, to: &str) {
        let to = to.parse().expect("an address");
        *self.to.lock().unwrap_or_else(PoisonError::into_inner) = to;
    }
}

fn both_ways(near: TcpStream, far: TcpStream) {
    let ways = (near.try_clone(), far.try_clone());
    let (Ok(near_too), Ok(far_too)) = ways else {
        return;
    };
    for (mut from, mut to) in [(near, far_too), (far, near_too)] {
        thread::spawn(move || {
            let _copied = io::copy(&mut from, &mut to);
            // Either end ends both.
            let _gone_already = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
}
