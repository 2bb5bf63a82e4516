//! What the recording tells of the files that a stock rsync moves.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use super::{Desk, sha256};
use crate::{err, out};

/// A tree with names of all kinds.
fn tree(desk: &Desk, name: &str) {
    let tree = desk.dir.join(name);
    fs::create_dir_all(tree.join("deep/deeper")).expect("a directory is made");
    fs::create_dir_all(tree.join("none")).expect("a directory is made");
    for (name, contents) in [
        ("a", "one\n"),
        ("deep/empty", ""),
        ("deep/new\nline", "two\n"),
        ("deep/deeper/grüße", "three\n"),
        ("deep-er", "four\n"),
    ] {
        fs::write(tree.join(name), contents).expect("a file is made");
    }
    fs::write(tree.join("big"), numbers(20_000)).expect("a file is made");
    symlink("a", tree.join("link")).expect("a file is made");
}

/// So many lines, each another.
fn numbers(count: u32) -> String {
    let lines = (0..count).map(|number| number.to_string());
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// The names that rsync says it did something with.
fn itemized(said: &str) -> BTreeSet<String> {
    let names = said.lines().filter_map(|line| line.split_once(' '));
    names
        .map(|(_what, name)| {
            let name = name.trim_start().split(" -> ").next().unwrap_or(name);
            name.trim_end_matches('/').replace("\\#012", "\\n")
        })
        .collect()
}

/// The names of which the recording tells, below a directory.
fn told_below(told: &str, dir: &str) -> BTreeSet<String> {
    let actions = ["transfer", "mkdir", "symlink", "setstat", "remove", "rmdir"];
    let mut names = BTreeSet::new();
    for line in told.lines() {
        for action in actions {
            if let Some((_, rest)) = line.split_once(&format!(" {action} {dir} ")) {
                let name = rest.trim_end_matches(']').split(" (").next();
                names.insert(name.unwrap_or(rest).trim_matches('"').to_owned());
            }
        }
    }
    names
}

#[test]
fn what_rsync_moves_is_told_file_by_file() {
    let desk = Desk::free();
    tree(&desk, "tree");
    let up = desk.rsync(&["-a", &desk.at("tree"), &desk.remote("in/")]);
    assert!(up.status.success(), "{}", err(&up));
    let down = desk.rsync(&["-a", &desk.remote("in/tree"), &desk.at("back")]);
    assert!(down.status.success(), "{}", err(&down));
    let told = desk.told();
    for name in [
        "a",
        "deep/empty",
        "deep/new\nline",
        "deep/deeper/grüße",
        "big",
    ] {
        let there = desk.dir.join("back/tree").join(name);
        let (size, digest) = (fs::metadata(&there).unwrap().len(), sha256(&there));
        for (way, said) in [("write", "written"), ("read", "read")] {
            let at = desk.at(&format!("in/tree/{name}"));
            let at = if at.contains('\n') {
                format!("{at:?}")
            } else {
                at
            };
            let digest = digest.trim_start_matches('\\');
            let bytes = match size {
                0 => String::new(),
                size => format!(", {size} bytes {said}"),
            };
            let line = format!("transfer {at} ({way} mode=644 size={size}){bytes} sha256 {digest}");
            assert!(told.contains(&line), "`{line}` in {told}");
        }
    }
    for line in [
        format!(
            "mkdir {} (write mode=755 changes=new)",
            desk.at("in/tree/none")
        ),
        format!("symlink {} (write mode=777", desk.at("in/tree/link")),
        format!("readlink {} (read mode=777", desk.at("in/tree/link")),
        format!("rsync {} (write -", desk.at("in/")),
        format!("rsync {} (read --sender -", desk.at("in/tree")),
    ] {
        assert!(told.contains(&line), "`{line}` in {told}");
    }
    assert_eq!(told.matches(", 6 files passed)").count(), 2, "{told}");
}

/// The names in the recording are those that rsync itself tells its user of.
#[test]
fn the_names_that_are_told_are_those_that_rsync_tells() {
    let desk = Desk::free();
    tree(&desk, "tree");
    let (from, to) = (desk.at("tree"), desk.remote("in/"));
    let first = desk.rsync(&["-ai8", &from, &to]);
    let names = itemized(&out(&first));
    assert!(names.len() > 9, "{names:?}");
    assert_eq!(told_below(&desk.told(), &desk.at("in/")), names);

    // One is changed, one is new, one is other only by its mode, some are gone.
    let text = fs::read_to_string(desk.dir.join("tree/big")).unwrap();
    fs::write(
        desk.dir.join("tree/big"),
        text.replace("\n9999\n", "\n9998\nmore\n"),
    )
    .unwrap();
    fs::remove_dir_all(desk.dir.join("tree/deep/deeper")).unwrap();
    fs::write(desk.dir.join("tree/new"), "new\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(desk.dir.join("tree/a"), mode).unwrap();
    let second = desk.rsync(&["-ai8", "--delete", &from, &to]);
    let told = desk.told();
    let both: BTreeSet<_> = names.union(&itemized(&out(&second))).cloned().collect();
    assert_eq!(told_below(&told, &desk.at("in/")), both);
    let dir = desk.at("in/");
    for line in [
        format!("remove {dir} tree/deep/deeper/grüße"),
        format!("rmdir {dir} tree/deep/deeper"),
        format!("setstat {dir} tree/a (write mode=600 size=4 changes=mode): no answer"),
    ] {
        assert!(told.contains(&line), "`{line}` in {told}");
    }
    let changed = told
        .lines()
        .filter(|line| line.contains("blocks of what was there"));
    let changed: Vec<&str> = changed.collect();
    assert!(
        matches!(changed.as_slice(), [one] if one.contains("tree/big")),
        "{changed:?}"
    );
    assert!(!changed[0].contains("sha256"), "{changed:?}");
}

#[test]
fn how_a_file_passes_is_told() {
    let desk = Desk::free();
    fs::write(desk.dir.join("big"), numbers(50_000)).unwrap();
    fs::write(desk.dir.join("in/big"), numbers(49_000)).unwrap();
    let (from, to) = (desk.at("big"), desk.remote("in/"));
    let whole = desk.rsync(&["-a", "--whole-file", &from, &to]);
    assert!(whole.status.success(), "{}", err(&whole));
    let packed = desk.rsync(&["-az", &desk.remote("in/big"), &desk.at("back")]);
    assert!(packed.status.success(), "{}", err(&packed));
    let after = desk.rsync(&["-rc", "--delete-after", &desk.at("notes"), &to]);
    assert!(after.status.success(), "{}", err(&after));
    let told = desk.told();
    let digest = sha256(&desk.dir.join("big"));
    let big = desk.at("in/big");
    let size = fs::metadata(desk.dir.join("big")).unwrap().len();
    for line in [
        format!(
            "transfer {big} (write mode=644 size={size}), {size} bytes written sha256 {digest}"
        ),
        format!("transfer {big} (read mode=644 size={size}, counted as it passed, compressed by z"),
        format!("transfer {} (write", desk.at("in/notes")),
    ] {
        assert!(told.contains(&line), "`{line}` in {told}");
    }
}

#[test]
fn what_does_not_arrive_is_told() {
    let desk = Desk::free();
    fs::create_dir_all(desk.dir.join("in/notes/full")).unwrap();
    let (from, to) = (desk.at("notes"), desk.remote("in/"));
    let stuck = desk.rsync(&["-a", "--stderr=client", &from, &to]);
    assert_eq!(stuck.status.code(), Some(23), "{}", err(&stuck));
    fs::write(desk.dir.join("big"), numbers(1_000_000)).unwrap();
    let shell = format!("ssh -p {}", desk.world.ssh_port());
    let line = [
        "timeout",
        "4",
        "rsync",
        "-a",
        "--bwlimit=500",
        "-e",
        &shell,
        &desk.at("big"),
        &to,
    ];
    let killed = desk.world.alice().output(&line).expect("timeout runs");
    assert!(!killed.status.success());
    let told = desk.told();
    let message = "message (of the target): failed, could not make way for new regular file: notes";
    assert!(told.contains(message), "{told}");
    let begun = told
        .lines()
        .find(|line| line.contains(&format!("transfer {}", desk.at("in/big"))));
    let begun = begun.unwrap_or_else(|| panic!("{told}"));
    assert!(begun.contains(": no answer, "), "{begun}");
    assert!(!begun.contains("sha256"), "{begun}");
}

#[test]
fn what_cannot_be_told_apart_is_told_as_streams() {
    let desk = Desk::free();
    fs::write(desk.dir.join("list"), "notes\n").unwrap();
    let list = format!("--files-from={}", desk.at("list"));
    let listed = desk.rsync(&["-a", &list, &desk.remote("."), &desk.at("back")]);
    assert!(listed.status.success(), "{}", err(&listed));
    let old = desk.rsync(&[
        "-a",
        "--protocol=29",
        &desk.at("notes"),
        &desk.remote("in/"),
    ]);
    assert!(old.status.success(), "{}", err(&old));
    let told = desk.told();
    assert!(
        told.contains("its streams, not its files, by `--files-from=-`), "),
        "{told}"
    );
    assert!(
        told.contains("told apart no further, the target sent protocol 29"),
        "{told}"
    );
    assert!(
        told.contains("its streams, not all of its files), "),
        "{told}"
    );
    assert_eq!(desk.read("in/notes"), desk.read("notes"));
}
