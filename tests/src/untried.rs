//! What a test finds out by itself that this machine does not let it try.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// The file to which it is added, a line each: `tests/run` names it, and says what is in it at its end.
const FILE: &str = "TIDEGATE_UNTRIED";

/// Says what was not tried, and why: in the test's output, which nobody sees of one that passes, and where `tests/run` looks.
///
/// # Panics
///
/// When there is such a place, and it cannot be written to.
#[expect(clippy::print_stdout, reason = "what was not tried is said")]
pub fn untried(what: &str) {
    println!("SKIPPED {what}");
    if let Some(path) = std::env::var_os(FILE) {
        add(Path::new(&path), what);
    }
}

/// In one piece: several tests may add to it at once.
fn add(path: &Path, what: &str) {
    let line = format!("{}\n", what.replace('\n', " "));
    let opened = File::options().create(true).append(true).open(path);
    let written = opened.and_then(|mut file| file.write_all(line.as_bytes()));
    written.expect("what was not tried is noted");
}

#[cfg(test)]
mod tests {
    use proxy::demo::Scratch;

    use super::*;

    #[test]
    fn each_is_one_line_of_the_file() {
        let dir = Scratch::create("tidegate-untried").expect("a directory");
        let path = dir.path().join("untried");
        add(&path, "sshfs: there is no /dev/fuse\nto write to");
        add(&path, "another");
        let text = std::fs::read_to_string(&path).expect("it is there");
        assert_eq!(text, "sshfs: there is no /dev/fuse to write to\nanother\n");
    }
}
