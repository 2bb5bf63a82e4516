//! Handles of SFTP that lead to another file at the target than the one they were given for.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{ChildStdin, ChildStdout, Stdio};

use super::Desk;

fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a short string");
    [&length.to_be_bytes()[..], bytes].concat()
}

fn packet(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    string(&[&[kind], fields.concat().as_slice()].concat())
}

fn open(number: u32, path: &str, flags: u32) -> Vec<u8> {
    let fields = [string(path.as_bytes()), flags.to_be_bytes().to_vec()].concat();
    packet(3, &[&number.to_be_bytes(), &fields, &[0; 4]])
}

/// Somebody who speaks SFTP with the target by hand.
struct Talk {
    up: ChildStdin,
    down: ChildStdout,
}

impl Talk {
    fn send(&mut self, bytes: &[u8]) {
        self.up.write_all(bytes).expect("it is sent");
        self.up.flush().expect("it is sent");
    }

    /// The next packet without its length; none at the end.
    fn receive(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 4];
        self.down.read_exact(&mut length).ok()?;
        let mut packet = vec![0; usize::try_from(u32::from_be_bytes(length)).ok()?];
        self.down.read_exact(&mut packet).ok()?;
        Some(packet)
    }
}

/// OpenSSH gives the number of a closed handle to the next file at once. Whoever asks in one go to close one,
/// to open another and to change "the first" changes the other.
#[test]
fn a_handle_is_good_for_nothing_once_it_is_being_closed() {
    let desk = Desk::bound();
    let log = desk.dir.join("out/log");
    fs::set_permissions(&log, fs::Permissions::from_mode(0o640)).expect("the mode is set");
    let (port, address) = (desk.world.ssh_port(), desk.world.address());
    let line = ["ssh", "-p", &port, "-s", &address, "sftp"];
    let mut command = desk.world.alice().command(line);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = child.spawn().expect("ssh runs");
    let mut talk = Talk {
        up: child.stdin.take().expect("a pipe"),
        down: child.stdout.take().expect("a pipe"),
    };
    talk.send(&packet(1, &[&3_u32.to_be_bytes()]));
    assert_eq!(talk.receive().expect("a version").first(), Some(&2));
    talk.send(&open(1, &desk.at("in/part"), 2 | 8));
    let opened = talk.receive().expect("a handle");
    assert_eq!(opened.first(), Some(&102), "{opened:?}");
    let handle = opened.get(5..).expect("a handle").to_vec();
    let number = |number: u32| number.to_be_bytes();
    let mode = [number(4), number(0o777)].concat();
    let close = packet(4, &[&number(2), &handle]);
    let set = packet(10, &[&number(4), &handle, &mode]);
    let read = open(3, &desk.at("out/log"), 1);
    talk.send(&[close, read, set].concat());
    while talk.receive().is_some() {}
    drop(talk);
    child.wait().expect("ssh ends");
    let now = fs::metadata(&log).expect("it is there").permissions();
    assert_eq!(now.mode() & 0o777, 0o640);
    let told = desk.told();
    assert!(told.contains("refused: TG608"), "{told}");
    assert!(!told.contains("fsetstat"), "{told}");
}
