//! What operators stumble over: at a start, at a stop, and by what is typed in a hurry.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use proxy::demo::{Ending, Scratch};
use tests::wait::within;
use tests::{Setting, World, binary, until};

use crate::{err, out};

/// Other programs may be told what is no text, by a value or by a name.
#[test]
fn an_environment_that_is_no_text_is_no_reason_not_to_start() {
    let world = World::new();
    let odd = OsStr::from_bytes(b"caf\xe9");
    let config = world.config_dir();
    let copy = world.dir().join("copy");
    let backup = ["backup", &copy.display().to_string()].map(str::to_owned);
    for (line, want) in [
        (&["check-config".to_owned()][..], Some(0)),
        (&backup, Some(0)),
        // One is there already.
        (&["serve".to_owned()], Some(1)),
    ] {
        let mut run = Command::new(binary::tidegate());
        run.args(line).arg("--config-dir").arg(&config);
        let ran = run.env("PLACE", odd).env(odd, "place").output();
        let ran = ran.expect("it runs");
        assert_eq!(ran.status.code(), want, "{line:?}: {}", err(&ran));
    }
}
