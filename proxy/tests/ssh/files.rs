//! What the recording tells of files that were moved by real clients.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::world::{World, digest, finish, noise};

/// One line of the recording that is about a file.
fn tells(frames: &[String], action: &str, path: &Path, parts: &[&str]) {
    let action = format!("action: {action:?}");
    let path = format!("path: {:?}", path.to_str().unwrap().as_bytes());
    let files = || frames.iter().filter(|frame| frame.starts_with("File("));
    let told = |frame: &String| {
        let about = frame.contains(&action) && frame.contains(&path);
        about && parts.iter().all(|part| frame.contains(part))
    };
    assert!(
        files().any(told),
        "{action} {path} {parts:?} in {:#?}",
        files().collect::<Vec<_>>()
    );
}

/// Runs these lines in `sftp`, and returns how it ended and what it said.
fn sftp(world: &World, lines: &str) -> (Option<i32>, String) {
    let batch = world.dir.join("batch");
    fs::write(&batch, lines).unwrap();
    let mut sftp = world.client("sftp");
    sftp.arg("-b").arg(&batch).arg("root+web1@localhost");
    let (status, _, err) = finish(sftp);
    (status, err)
}

/// A digest as a frame shows it.
fn shown(digest: &str) -> String {
    let bytes = (0..digest.len() / 2)
        .map(|at| u8::from_str_radix(digest.get(2 * at..2 * at + 2).unwrap(), 16).unwrap())
        .collect::<Vec<_>>();
    format!("digest: Some({bytes:?})")
}

#[test]
fn what_sftp_does_is_told_however_much_was_moved_before() {
    let world = World::new("files-sftp");
    let (from, put, got) = (
        world.dir.join("from"),
        world.dir.join("put"),
        world.dir.join("got"),
    );
    let (renamed, made) = (world.dir.join("renamed"), world.dir.join("made"));
    noise(&from, 5);
    let show = |path: &Path| path.display().to_string();
    let lines = format!(
        "put {from} {put}\nget {put} {got}\nrename {put} {renamed}\nmkdir {made}\n\
         chmod 700 {made}\nln -s {renamed} {made}/link\nrm {renamed}\n-rm {renamed}\nls {made}\n",
        from = show(&from),
        put = show(&put),
        got = show(&got),
        renamed = show(&renamed),
        made = show(&made)
    );
    let (status, err) = sftp(&world, &lines);
    assert_eq!(status, Some(0), "{err}");
    assert_eq!(digest(&got), digest(&from));
    let frames = world.frames();
    let moved = [&shown(&digest(&from)), "bytes: 5242880", "result: Done"];
    tells(&frames, "open", &put, &["write create", "result: Done"]);
    tells(
        &frames,
        "close",
        &put,
        &[moved[0], moved[1], moved[2], "read: Transfer { bytes: 0"],
    );
    tells(
        &frames,
        "close",
        &put,
        &[moved[0], moved[1], moved[2], "written: Transfer { bytes: 0"],
    );
    let to = format!("to: {:?}", show(&renamed).as_bytes());
    tells(&frames, "posix-rename", &put, &[&to, "result: Done"]);
    tells(&frames, "mkdir", &made, &["result: Done"]);
    tells(&frames, "setstat", &made, &["mode=0700"]);
    let link = format!("to: {:?}", show(&made.join("link")).as_bytes());
    tells(&frames, "symlink", &renamed, &[&link, "result: Done"]);
    tells(&frames, "remove", &renamed, &["result: Done"]);
    tells(&frames, "opendir", &made.join(""), &["result: Done"]);
    tells(&frames, "remove", &renamed, &["result: Failed { code: 2"]);
    assert!(!frames.iter().any(|frame| frame.starts_with("Data {")));
}

#[test]
fn what_scp_moves_is_told_with_its_digest() {
    let world = World::new("files-scp");
    let (from, to) = (world.dir.join("from"), world.dir.join("to"));
    noise(&from, 3);
    let mut scp = world.client("scp");
    scp.args(["-s", "-q"]).arg(&from);
    scp.arg(format!("root+web1@localhost:{}", to.display()));
    assert_eq!(finish(scp).0, Some(0));
    assert_eq!(digest(&from), digest(&to));
    let written = format!(
        "written: Transfer {{ bytes: 3145728, start: 0, {} }}",
        shown(&digest(&to))
    );
    tells(&world.frames(), "close", &to, &[&written]);
}

#[test]
fn a_client_that_speaks_no_sftp_is_told_so_and_its_channel_ends() {
    let world = World::new("files-odd");
    let mut ssh = world.ssh("root+web1");
    ssh.args(["-s", "sftp"]);
    let odd = world.dir.join("odd");
    fs::write(&odd, [0xff; 4096]).unwrap();
    ssh.stdin(fs::File::open(odd).unwrap());
    let (status, _, err) = finish(ssh);
    assert_eq!(status, Some(77), "{err}");
    assert!(
        err.contains("tidegate: TG608 the file transfer was ended"),
        "{err}"
    );
    assert!(
        err.contains("the client sent a packet of 4294967295 bytes"),
        "{err}"
    );
    let frames = world.frames();
    assert!(
        frames
            .iter()
            .any(|frame| frame.contains("Refused") && frame.contains("TG608"))
    );
}

#[test]
fn many_files_pass_as_they_are() {
    let world = World::new("files-tree");
    let (from, to) = (world.dir.join("tree"), world.dir.join("copy"));
    fs::create_dir(&from).unwrap();
    for number in 0..40 {
        fs::write(
            from.join(format!("file-{number}")),
            "x".repeat(number * 997),
        )
        .unwrap();
    }
    let mut scp = world.client("scp");
    scp.args(["-s", "-q", "-r"]).arg(&from);
    scp.arg(format!("root+web1@localhost:{}", to.display()));
    let (status, _, err) = finish(scp);
    assert_eq!(status, Some(0), "{err}");
    let mut diff = Command::new("diff");
    diff.arg("-r").arg(&from).arg(&to);
    assert_eq!(finish(diff).0, Some(0));
}
