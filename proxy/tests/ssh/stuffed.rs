//! Programs that read nothing, and connections that somebody asks much of: what waits for them holds up nothing else, and
//! has an end that is told.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use policies::Capability;
use russh::client::{ChannelOpenHandle, Handler, Msg, Session};
use russh::keys::PublicKeyOrCertificate;
use russh::{Channel, ChannelMsg, Sig};
use tokio::sync::mpsc;
use tokio::time;

use crate::recording::holds;
use crate::world::World;

/// More than the windows of a channel, ours and the target's, and more than waits in a pipe.
const MUCH: usize = 4 * 1024 * 1024;

/// Waits until a message comes that is looked for.
async fn wait(
    channel: &mut Channel<Msg>,
    is_it: impl Fn(&ChannelMsg) -> bool,
) -> Option<ChannelMsg> {
    let waiting = async {
        while let Some(message) = channel.wait().await {
            if is_it(&message) {
                return Some(message);
            }
        }
        None
    };
    time::timeout(Duration::from_secs(5), waiting).await.ok()?
}

/// Runs a program that reads nothing, and sends it more than its windows.
async fn stuff(channel: &mut Channel<Msg>) {
    channel.exec(true, "exec sleep 60").await.unwrap();
    let begun = wait(channel, |message| matches!(message, ChannelMsg::Success)).await;
    assert!(begun.is_some());
    let much = vec![7; MUCH];
    let sending = channel.data_bytes(much);
    let sent = time::timeout(Duration::from_secs(2), sending).await;
    assert!(sent.is_err(), "there is no window for all of it");
}

#[test]
fn a_signal_does_not_wait_behind_what_the_program_does_not_read() {
    let world = World::new("hurry");
    let log = world.dir.join("sshd/sshd.log");
    // An sshd that runs as root and lets root in sends no signals, and says so.
    let has_come = || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("signal_req"));
    let came = world.abuse(async |mut channel| {
        stuff(&mut channel).await;
        channel.signal(Sig::TERM).await.unwrap();
        let ends = |message: &ChannelMsg| matches!(message, ChannelMsg::ExitSignal { .. });
        wait(&mut channel, ends).await.is_some() || has_come()
    });
    assert_eq!(came, Some(true));
    holds(&world.frames(), &["Signal", "TERM"]);
}

/// What the client hears at the end of a channel that was cut off.
async fn last(channel: &mut Channel<Msg>) -> (String, Option<u32>) {
    let (mut said, mut status) = (String::new(), None);
    let closing = async {
        while let Some(message) = channel.wait().await {
            if let ChannelMsg::ExtendedData { data, .. } = &message {
                said += &String::from_utf8_lossy(data);
            } else if let ChannelMsg::ExitStatus { exit_status } = message {
                status = Some(exit_status);
            } else if matches!(message, ChannelMsg::Close) {
                return;
            }
        }
    };
    let closed = time::timeout(Duration::from_secs(5), closing).await;
    assert!(closed.is_ok(), "it is closed");
    (said, status)
}

#[test]
fn who_stuffs_a_channel_hears_that_it_is_ended() {
    let world = World::new("stuffed");
    let heard = world.abuse(async |mut channel| {
        stuff(&mut channel).await;
        // Each waits by itself.
        for _each in 0..17_000 {
            channel.eof().await.unwrap();
        }
        last(&mut channel).await
    });
    let (said, status) = heard.unwrap();
    assert_eq!(status, Some(77), "{said}");
    assert!(said.contains("TG638"), "{said}");
    holds(&world.frames(), &["Refused", "TG638", "input"]);
}

/// Nothing goes to it any more, not even that a channel is over.
#[test]
fn who_stuffs_a_channel_hears_that_also_where_the_target_reads_nothing() {
    /// It is to end by itself once its client has gone.
    const STOP: &str = "p=$PPID; (sleep 15; kill -CONT $p) & kill -STOP $p; exec sleep 16";
    /// More than sockets take, of 36 bytes each, and more than may wait.
    const ENDS: usize = 200_000;
    let world = World::new("stuffed-unread");
    let heard = world.abuse(async |mut channel| {
        channel.exec(true, STOP).await.unwrap();
        time::sleep(Duration::from_secs(1)).await;
        for _each in 0..ENDS {
            channel.eof().await.unwrap();
        }
        last(&mut channel).await
    });
    let (said, status) = heard.unwrap();
    assert_eq!(status, Some(77), "{said}");
    assert!(said.contains("TG638"), "{said}");
    holds(&world.frames(), &["Refused", "TG638", "input"]);
}

#[test]
fn who_stuffs_a_channel_before_its_program_hears_it_too() {
    let world = World::new("stuffed-early");
    let heard = world.abuse(async |mut channel| {
        for _each in 0..5_000 {
            channel.data_bytes(&b"x"[..]).await.unwrap();
        }
        last(&mut channel).await
    });
    let (said, status) = heard.unwrap();
    assert_eq!(status, Some(77), "{said}");
    holds(&world.frames(), &["Refused", "TG638", "input"]);
}

/// Takes whoever comes at the target.
struct Taker(mpsc::Sender<Channel<Msg>>);

impl Handler for Taker {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        _address: &str,
        _port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        drop(self.0.send(channel).await);
        Ok(())
    }
}

#[test]
fn who_asks_much_of_a_connection_that_came_in_at_the_target_is_shown_out() {
    let world = World::with("asks", &[Capability::ReversePort]);
    let is_out = world.runtime.block_on(async {
        let (taker, mut channels) = mpsc::channel(1);
        let client = world.connect_with("root+web1", Taker(taker)).await;
        let port = client.tcpip_forward("localhost", 0).await.unwrap();
        let port = u16::try_from(port).unwrap();
        let comes = thread::spawn(move || {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.write_all(b"hello").unwrap();
            stream
        });
        let channel = channels.recv().await.unwrap();
        let _stream = comes.join().unwrap();
        for _each in 0..20_000 {
            if channel.window_change(80, 25, 0, 0).await.is_err() {
                return true;
            }
        }
        for _each in 0..100 {
            if client.is_closed() {
                return true;
            }
            time::sleep(Duration::from_millis(100)).await;
        }
        false
    });
    assert!(is_out);
    assert!(
        world.closed(1)[0].contains("Violation"),
        "{:?}",
        world.closed(1)
    );
}
