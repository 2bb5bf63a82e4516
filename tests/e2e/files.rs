//! Files over `sftp`, `scp -O` and `rsync` with stock clients: what the recording tells of them, and
//! what rules about files let through.

mod handles;
mod rsync;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tests::{World, with_input};

use crate::{err, out};

/// What tidegate ends a refused command with.
const REFUSED: i32 = 77;

/// A directory to read from and one to write to, at the target, and rules that keep alice to them.
struct Desk {
    world: World,
    dir: PathBuf,
}

impl Desk {
    /// Without rules.
    fn free() -> Self {
        let world = World::new();
        world.grant_ssh("10m");
        let dir = world.dir().join("people/alice/desk");
        for name in ["in", "out", "both", "other"] {
            fs::create_dir_all(dir.join(name)).expect("a directory is made");
        }
        fs::write(dir.join("out/log"), "a line\n").expect("a file is made");
        fs::write(dir.join("other/secret"), "a secret\n").expect("a file is made");
        fs::write(dir.join("notes"), "some notes\n").expect("a file is made");
        Self { world, dir }
    }

    /// Alice reads below `out`, writes below `in`, and does either below `both`.
    fn bound() -> Self {
        let desk = Self::free();
        let below = |name: &str| desk.at(name);
        desk.world.add_policy(&format!(
            "@id(\"read-out\")\n@reason(\"Fetch what lies in out.\")\n\
             forbid (principal in Jit::Group::\"sre\", action == Jit::Action::\"readFile\", resource)\n\
             unless {{ context.path like \"{}/*\" || context.path like \"{both}/*\" }};\n\
             @id(\"hand-in\")\n@reason(\"Hand in at in.\")\n\
             forbid (principal in Jit::Group::\"sre\", action == Jit::Action::\"writeFile\", resource)\n\
             unless {{ context.path like \"{}/*\" || context.path like \"{both}/*\" }};\n",
            below("out"),
            below("in"),
            both = below("both"),
        ));
        desk
    }

    fn at(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn remote(&self, name: &str) -> String {
        format!("{}:{}", self.world.address(), self.at(name))
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.dir.join(name)).ok()
    }

    fn scp(&self, args: &[&str]) -> Output {
        let port = self.world.ssh_port();
        let line = [&["scp", "-O", "-q", "-P", &port], args].concat();
        self.world.alice().output(&line).expect("scp runs")
    }

    fn rsync(&self, args: &[&str]) -> Output {
        let shell = format!("ssh -p {}", self.world.ssh_port());
        let line = [&["rsync", "-e", &shell], args].concat();
        self.world.alice().output(&line).expect("rsync runs")
    }

    fn sftp(&self, lines: &str) -> Output {
        let (port, address) = (self.world.ssh_port(), self.world.address());
        let batch = self.world.dir().join("batch");
        fs::write(&batch, lines).expect("a batch is written");
        let batch = batch.display().to_string();
        let line = ["sftp", "-P", &port, "-b", &batch, &address];
        self.world.alice().output(&line).expect("sftp runs")
    }

    /// What the recordings of all sessions tell, as text.
    fn told(&self) -> String {
        let sessions = self.world.ended_sessions();
        let ids = sessions.iter().filter_map(|session| session["id"].as_str());
        ids.map(|id| {
            assert!(self.world.verify(id).0);
            self.world.exported(id, "--text")
        })
        .collect()
    }
}

fn sha256(path: &Path) -> String {
    let ran = Command::new("sha256sum")
        .arg(path)
        .output()
        .expect("sha256sum runs");
    out(&ran).split(' ').next().unwrap_or_default().to_owned()
}

#[test]
fn what_legacy_scp_moves_is_told_with_its_digest() {
    let desk = Desk::free();
    let tree = desk.dir.join("tree");
    fs::create_dir_all(tree.join("deep")).unwrap();
    fs::write(tree.join("deep/big"), vec![7; 700_000]).unwrap();
    fs::write(tree.join("empty"), "").unwrap();
    let (up, down) = (desk.remote("in/."), desk.remote("in/tree/deep/big"));
    assert!(
        desk.scp(&["-r", "-p", &desk.at("tree"), &up])
            .status
            .success()
    );
    assert!(desk.scp(&[&down, &desk.at("back")]).status.success());
    let gone = desk.scp(&[&desk.remote("gone"), &desk.at("back")]);
    assert!(err(&gone).contains("No such file"), "{}", err(&gone));
    assert_eq!(
        sha256(&tree.join("deep/big")),
        sha256(&desk.dir.join("back"))
    );
    let told = desk.told();
    let digest = sha256(&desk.dir.join("back"));
    for line in [
        format!("mkdir {} (mode=", desk.at("in/./tree")),
        format!(
            "close {}, 700000 bytes written sha256 {digest}",
            desk.at("in/./tree/deep/big")
        ),
        format!(
            "close {}, 700000 bytes read sha256 {digest}",
            desk.at("in/tree/deep/big")
        ),
        format!("close {} sha256 e3b0c442", desk.at("in/./tree/empty")),
        format!(
            "open {}: failed, scp: {}: No such file",
            desk.at("gone"),
            desk.at("gone")
        ),
    ] {
        assert!(told.contains(&line), "`{line}` in {told}");
    }
}

#[test]
fn a_permit_that_is_bound_to_paths_holds_for_sftp() {
    let desk = Desk::bound();
    let (notes, log) = (desk.at("notes"), desk.at("out/log"));
    let good = desk.sftp(&format!(
        "get {log} {}\nput {notes} {}\nls {}\n",
        desk.at("back"),
        desk.at("in/part"),
        desk.at("out")
    ));
    assert!(good.status.success(), "{}", err(&good));
    assert_eq!(desk.read("in/part"), desk.read("notes"));
    for line in [
        format!("get {} {}", desk.at("other/secret"), desk.at("stolen")),
        format!(
            "get {}/../other/secret {}",
            desk.at("out"),
            desk.at("stolen")
        ),
        format!("get {} {}", desk.at("in/part"), desk.at("stolen")),
        format!("put {notes} {}", desk.at("out/log")),
        format!("put {notes} {}/../other/new", desk.at("in")),
        format!(
            "rename {} {}",
            desk.at("other/secret"),
            desk.at("in/secret")
        ),
        format!("rename {} {}", desk.at("in/part"), desk.at("out/part")),
        format!("ln {} {}", desk.at("other/secret"), desk.at("in/hard")),
        format!("ln -s {} {}", desk.at("other"), desk.at("in/soft")),
        format!("ln -s ../other {}", desk.at("in/soft")),
        format!("rm {}", desk.at("other/secret")),
        format!("mkdir {}", desk.at("other/made")),
        format!("chmod 777 {}", desk.at("other/secret")),
        format!("ls {}", desk.at("other")),
    ] {
        let refused = desk.sftp(&format!("{line}\n"));
        assert!(!refused.status.success(), "{line}: {}", out(&refused));
    }
    assert_eq!(desk.read("stolen"), None);
    assert_eq!(desk.read("out/log").as_deref(), Some("a line\n"));
    assert_eq!(desk.read("other/secret").as_deref(), Some("a secret\n"));
    for name in [
        "other/new",
        "in/secret",
        "out/part",
        "in/hard",
        "in/soft/secret",
    ] {
        assert_eq!(desk.read(name), None, "{name}");
    }
    let told = desk.told();
    assert!(
        told.contains("TG621") && told.contains("Fetch what lies in out (policy read-out)"),
        "{told}"
    );
    assert!(told.contains("TG622"), "{told}");
}

/// A directory of which only what is in it is open may be listed; one that a rule closes by its name may not be.
#[test]
fn a_name_that_a_rule_closes_is_not_even_looked_at() {
    let desk = Desk::free();
    let (other, notes) = (desk.at("other"), desk.at("notes"));
    desk.world.add_policy(&format!(
        "@id(\"closed\")\nforbid (principal in Jit::Group::\"sre\", action in Jit::Action::\"files\", resource)\n\
         when {{ context.path == \"{other}\" || context.path == \"{notes}\" }};\n",
    ));
    for line in [format!("ls {other}"), format!("ls -l {notes}")] {
        let refused = desk.sftp(&format!("{line}\n"));
        assert!(!refused.status.success(), "{line}: {}", out(&refused));
    }
    let good = desk.sftp(&format!("ls {}\nls {}\n", desk.at("out"), desk.at("")));
    assert!(good.status.success(), "{}", err(&good));
    assert!(desk.told().contains("(policy closed)"));
}

/// What was refused has not passed: somebody who compares the parts finds nothing else.
#[test]
fn what_is_refused_is_not_counted_as_passed() {
    let desk = Desk::bound();
    let far = format!("{}/{}", desk.at("other"), "long".repeat(50));
    let lines: Vec<String> = (0..200).map(|each| format!("-mkdir {far}{each}")).collect();
    let tried = desk.sftp(&lines.join("\n"));
    assert!(tried.status.success(), "{}", err(&tried));
    let sessions = desk.world.ended_sessions();
    let passed = sessions[0]["end"]["counters"]["to_target"].as_u64();
    assert!(passed.is_some_and(|bytes| bytes < 10_000), "{sessions:?}");
}

#[test]
fn a_refused_file_does_not_end_the_conversation() {
    let desk = Desk::bound();
    let lines = format!(
        "-get {} {}\nget {} {}\n",
        desk.at("other/secret"),
        desk.at("stolen"),
        desk.at("out/log"),
        desk.at("back")
    );
    let ran = desk.sftp(&lines);
    assert!(ran.status.success(), "{}", err(&ran));
    assert!(err(&ran).contains("secret"), "{}", err(&ran));
    assert_eq!(
        (desk.read("stolen"), desk.read("back")),
        (None, desk.read("out/log"))
    );
}

#[test]
fn a_permit_that_is_bound_to_paths_holds_for_scp() {
    let desk = Desk::bound();
    let notes = desk.at("notes");
    assert!(desk.scp(&[&notes, &desk.remote("in/.")]).status.success());
    let quoted = |name: &str| format!("{}:'{}'", desk.world.address(), desk.at(name));
    assert!(desk.scp(&[&notes, &quoted("in/again")]).status.success());
    assert_eq!(desk.read("in/again"), desk.read("notes"));
    assert_eq!(desk.read("in/notes"), desk.read("notes"));
    assert!(
        desk.scp(&[&desk.remote("out/log"), &desk.at("back")])
            .status
            .success()
    );
    assert_eq!(desk.read("back"), desk.read("out/log"));
    for (from, to) in [
        (desk.remote("other/secret"), desk.at("stolen")),
        (desk.remote("in/notes"), desk.at("stolen")),
        (desk.remote("out/../other/secret"), desk.at("stolen")),
        (notes.clone(), desk.remote("other/")),
        (notes.clone(), desk.remote("in")),
        (notes.clone(), desk.remote("in/")),
        (notes.clone(), desk.remote("in/../other/new")),
        (notes.clone(), desk.remote("in/; id >/dev/null; true")),
        (desk.remote("o*/secret"), desk.at("stolen")),
        // To cmd.exe these are two words, and a command behind one.
        (desk.remote("out/log\\ /etc/passwd"), desk.at("stolen")),
        (notes.clone(), quoted("in/a&calc")),
    ] {
        let refused = desk.scp(&[&from, &to]);
        assert!(!refused.status.success(), "{from} {to}");
        assert!(
            err(&refused).contains("tidegate: TG62"),
            "{}",
            err(&refused)
        );
    }
    assert_eq!(
        (desk.read("stolen"), desk.read("other/notes")),
        (None, None)
    );
    let told = desk.told();
    assert!(told.contains("TG621"), "{told}");
}

#[test]
fn a_permit_that_is_bound_to_paths_holds_for_rsync() {
    let desk = Desk::bound();
    let notes = desk.at("notes");
    let good = desk.rsync(&["-rtO", &notes, &desk.remote("both/")]);
    assert!(good.status.success(), "{}", err(&good));
    assert_eq!(desk.read("both/notes"), desk.read("notes"));
    let (into, other) = (desk.remote("both/"), desk.remote("other/"));
    let only_written = desk.remote("in/");
    let log = desk.remote("out/log");
    let closed = fs::Permissions::from_mode(0o700);
    fs::set_permissions(desk.dir.join("both"), closed).expect("the mode is set");
    // With a slash behind it, `both` would get the mode of what is sent.
    let out = format!("{}/", desk.at("out"));
    for (line, code) in [
        (&["-rp", &out, &into][..], "TG621"),
        (&["-rt", &out, &into], "TG621"),
        (&["-rtO", &notes, &other], "TG621"),
        // A receiver's checksums tell what the file has that is written over.
        (
            &["-rIO", "-M--block-size=1", &notes, &only_written],
            "TG625",
        ),
        (&["-rOW", &notes, &only_written], "TG625"),
        (&["-a", &notes, &into], "TG623"),
        (&["-rtO", "--delete", &notes, &into], "TG623"),
        (&["-rtO", &log, &notes], "TG624"),
    ] {
        let refused = desk.rsync(line);
        assert!(!refused.status.success(), "{line:?}");
        assert!(err(&refused).contains(code), "{line:?} {}", err(&refused));
    }
    assert_eq!(desk.read("other/notes"), None);
    assert_eq!(desk.read("in/notes"), None);
    let now = fs::metadata(desk.dir.join("both")).expect("it is there");
    assert_eq!(now.permissions().mode() & 0o777, 0o700);
}

/// Policy is asked about each path, and sees the whole line each time, on a thread that others are on too.
#[test]
fn a_command_that_would_be_asked_about_for_seconds_is_refused() {
    let desk = Desk::bound();
    let both = desk.at("both/");
    let names = |count: usize| format!("{both} ").repeat(count);
    for (command, code) in [
        (format!("rsync --server -re.Ls . {}", names(17)), "TG626"),
        (format!("scp -t {} {both}", "-p ".repeat(6 * 1024)), "TG626"),
        // Sixteen are looked at, and are no directories that rsync could set the times of.
        (format!("rsync --server -rte.Ls . {}", names(16)), "TG621"),
    ] {
        let refused = desk.world.ssh(&[], &[command.trim_end()]);
        assert_eq!(refused.status.code(), Some(REFUSED), "{command}");
        assert!(err(&refused).contains(code), "{command} {}", err(&refused));
    }
}

/// `scp` before a semicolon is no transfer, nor before a comment that has quotes in it: what a shell behind it is
/// sent would be a file, of which only a digest is kept.
#[test]
fn a_shell_behind_a_command_that_carries_files_is_recorded_as_a_shell() {
    let desk = Desk::free();
    let (port, address) = (desk.world.ssh_port(), desk.world.address());
    let input = desk.world.dir().join("input");
    for (line, before) in [
        ("scp -t . </dev/null >/dev/null 2>&1; exec sh", ""),
        (
            "scp -d -t /x # '\nread l; printf \"\\0\"; exec sh >&2 #'",
            "C0644 9000000000000 a.csv\n",
        ),
    ] {
        fs::write(&input, format!("{before}echo spoken-$((40+2))\n")).expect("a file");
        let asked = with_input(
            desk.world.alice(),
            &["ssh", "-p", &port, &address, line],
            &input,
        );
        let heard = out(&asked) + &err(&asked);
        assert!(heard.contains("spoken-42"), "{heard}");
    }
    let told = desk.told();
    assert_eq!(told.matches("echo spoken-").count(), 2, "{told}");
    for action in ["scp write", "open write", "a.csv,"] {
        assert!(!told.contains(action), "{told}");
    }
}

/// What a shell calls `scp` may be a function of the account's own, to which a file's contents are commands.
#[test]
fn what_scp_carries_is_kept_as_what_a_command_is_sent() {
    let desk = Desk::free();
    fs::write(desk.dir.join("a.csv"), "spoken-contents\n").expect("a file");
    let (up, down) = (desk.remote("in/"), desk.remote("in/a.csv"));
    assert!(desk.scp(&[&desk.at("a.csv"), &up]).status.success());
    assert!(desk.scp(&[&down, &desk.at("back")]).status.success());
    let told = desk.told();
    for line in ["\n[input] spoken-contents\n", "\n| spoken-contents\n"] {
        assert!(told.contains(line), "{told}");
    }
    let digest = sha256(&desk.dir.join("back"));
    assert_eq!(told.matches(&digest).count(), 2, "{told}");
}

#[test]
fn whoever_is_kept_to_some_files_has_no_other_commands() {
    let desk = Desk::bound();
    let secret = desk.at("other/secret");
    for command in [
        format!("cat {secret}"),
        format!("/usr/lib/openssh/sftp-server; cat {secret}"),
        format!("scp -f {} | cat {secret}", desk.at("out/log")),
        format!("{}/scp -t {}", desk.at("in"), desk.at("in/")),
        format!(
            "rsync --server --sender -e.Ls --log-file={} . {}",
            desk.at("in/x"),
            desk.at("out/")
        ),
    ] {
        let refused = desk.world.ssh(&[], &[&command]);
        assert_eq!(refused.status.code(), Some(REFUSED), "{command}");
        assert!(!out(&refused).contains("secret\n"), "{command}");
    }
    let shell = desk.world.ssh(&["-tt"], &[]);
    assert_eq!(shell.status.code(), Some(REFUSED), "{}", out(&shell));
}

#[test]
fn rules_about_files_hold_for_sessions_that_are_open() {
    let desk = Desk::free();
    let control = desk.world.dir().join("people/alice/mux");
    let path = format!("ControlPath={}", control.display());
    let options = [
        "-o",
        "ControlMaster=yes",
        "-o",
        "ControlPersist=60",
        "-o",
        &path,
        "-N",
        "-f",
    ];
    let master = desk.world.ssh(&options, &[]);
    assert!(master.status.success(), "{}", err(&master));
    let over = ["-o", path.as_str()];
    assert!(desk.world.ssh(&over, &["true"]).status.success());
    desk.world.add_policy(
        "@id(\"look\")\n@reason(\"Look, do not touch.\")\n\
         forbid (principal, action == Jit::Action::\"writeFile\", resource);\n",
    );
    assert_eq!(
        desk.world.ssh(&over, &["true"]).status.code(),
        Some(REFUSED)
    );
    let (notes, into) = (desk.at("notes"), desk.remote("in/"));
    let refused = desk.scp(&["-o", &path, &notes, &into]);
    assert!(
        err(&refused).contains("Look, do not touch"),
        "{}",
        err(&refused)
    );
    let read = desk.scp(&["-o", &path, &desk.remote("out/log"), &desk.at("back")]);
    assert!(read.status.success(), "{}", err(&read));
    let all = desk.rsync(&["-a", &desk.remote("out/log"), &desk.at("back2")]);
    assert!(
        all.status.success(),
        "reading is not bound to paths: {}",
        err(&all)
    );
    desk.world.ssh(&["-o", &path, "-O", "exit"], &[]);
}

/// A terminal takes bits off, folds letters and ends lines: what the target reads then is not what was
/// judged and recorded.
#[test]
fn sftp_over_a_terminal_is_refused() {
    let desk = Desk::free();
    let told = desk.world.ssh(&["-tt", "-s"], &["sftp"]);
    assert!(!told.status.success(), "{}", out(&told));
    let said = format!("{}{}", out(&told), err(&told));
    assert!(said.contains("TG617"), "{said}");
    // Without one it is as it was.
    let plain = desk.world.ssh(&["-s"], &["sftp"]);
    assert!(plain.status.success(), "{}", err(&plain));
}
