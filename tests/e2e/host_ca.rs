//! Targets that are known by the CA of their host certificates (`target add ssh --host-ca`): a real sshd shows one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use proxy::demo::{Scratch, Signals, Sshd, SshdOptions};
use tests::World;

use crate::{err, out};

/// A CA of host certificates, and the hosts that show some.
struct Hosts {
    world: World,
    dir: Scratch,
}

/// Runs `ssh-keygen`.
fn keygen(line: &[&str]) {
    let ran = Command::new("ssh-keygen").arg("-q").args(line).output();
    let ran = ran.expect("ssh-keygen runs");
    assert!(ran.status.success(), "{line:?}: {}", err(&ran));
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

impl Hosts {
    fn set() -> Self {
        let dir = Scratch::create("tidegate-host-ca").expect("a directory");
        let hosts = Self {
            world: World::new(),
            dir,
        };
        hosts.ca("ca", &["-t", "ed25519"]);
        hosts
    }

    /// Makes a CA with a key of this kind.
    fn ca(&self, name: &str, kind: &[&str]) {
        let at = text(&self.dir.path().join(name));
        keygen(&[kind, &["-N", "", "-C", name, "-f", &at]].concat());
    }

    /// The line of a CA's key, as `--host-ca` takes it.
    fn line(&self, ca: &str) -> String {
        let line = fs::read_to_string(self.dir.path().join(ca).with_extension("pub"));
        line.expect("it has been made").trim().to_owned()
    }

    /// A directory with a host key of this kind.
    fn key(&self, name: &str, kind: &[&str]) -> PathBuf {
        let dir = self.dir.private(name).expect("a directory");
        let key = text(&dir.join("host_key"));
        keygen(&[kind, &["-N", "", "-C", name, "-f", &key]].concat());
        dir
    }

    /// Certifies a host key like this.
    fn certify(&self, dir: &Path, ca: &str, how: &[&str]) {
        let (ca, key) = (text(&self.dir.path().join(ca)), dir.join("host_key.pub"));
        keygen(&[&["-s", &ca, "-I", "host"], how, &[&text(&key)]].concat());
    }

    /// Starts sshd with the host key and, where there is one, the certificate of a directory.
    fn start(&self, dir: &Path) -> Sshd {
        let certificate = dir.join("host_key-cert.pub");
        let shown = if certificate.exists() {
            format!("HostCertificate {}", certificate.display())
        } else {
            String::new()
        };
        self.start_with(dir, &shown)
    }

    /// The same with these lines.
    fn start_with(&self, dir: &Path, extra: &str) -> Sshd {
        let options = SshdOptions {
            dir,
            user_ca: Some(&self.world.trust().ssh_user_ca),
            extra,
            signals: Signals::Shared,
        };
        Sshd::start(&options).expect("sshd starts")
    }

    /// Bob adds an sshd, known by a CA. Gives back what he is told.
    fn add(&self, name: &str, sshd: &Sshd, ca: &str) -> String {
        let (addr, login, ca) = (sshd.addr().to_string(), self.world.login(), self.line(ca));
        let line = [
            "tidegate",
            "target",
            "add",
            "ssh",
            name,
            "--addr",
            &addr,
            "--login",
            &login,
            "--host-ca",
            &ca,
        ];
        let added = self.world.bob().output(&line).expect("it runs");
        assert!(added.status.success(), "{}", err(&added));
        out(&added) + &err(&added)
    }

    /// Alice runs a command at a target.
    fn run(&self, name: &str) -> (String, String) {
        let login = self.world.login();
        let (port, address) = (self.world.ssh_port(), format!("{login}+{name}@localhost"));
        let line = ["ssh", "-p", &port, &address, "echo here"];
        let ran = self.world.alice().output(&line).expect("ssh runs");
        (out(&ran), err(&ran))
    }
}

#[test]
fn a_host_certificate_lets_its_host_be_entered_whatever_kinds_of_keys_there_are() {
    let hosts = Hosts::set();
    hosts.ca("ca-ecdsa", &["-t", "ecdsa", "-b", "384"]);
    hosts.ca("ca-rsa", &["-t", "rsa", "-b", "3072"]);
    let kinds: [(&str, &[&str], &str); 6] = [
        ("ed25519", &["-t", "ed25519"], "ca"),
        ("p256", &["-t", "ecdsa", "-b", "256"], "ca-ecdsa"),
        ("p384", &["-t", "ecdsa", "-b", "384"], "ca"),
        ("p521", &["-t", "ecdsa", "-b", "521"], "ca-rsa"),
        ("rsa", &["-t", "rsa", "-b", "3072"], "ca"),
        ("rsa-by-rsa", &["-t", "rsa", "-b", "2048"], "ca-rsa"),
    ];
    for (name, kind, ca) in kinds {
        let dir = hosts.key(name, kind);
        let how = ["-h", "-n", "elsewhere.example,127.0.0.1", "-V", "-1h:+1h"];
        hosts.certify(&dir, ca, &how);
        let sshd = hosts.start(&dir);
        let said = hosts.add(name, &sshd, ca);
        assert!(said.contains("and ready"), "{name}: {said}");
        hosts.world.grant(name, &hosts.world.login(), "10m");
        let (out, err) = hosts.run(name);
        assert_eq!(out, "here\n", "{name}: {err}");
    }
}

/// A machine that was made anew has another key, and a certificate by the same CA.
#[test]
fn another_key_of_the_same_ca_is_the_same_host() {
    let hosts = Hosts::set();
    let dir = hosts.key("web2", &["-t", "ed25519"]);
    hosts.certify(&dir, "ca", &["-h", "-n", "127.0.0.1"]);
    let mut sshd = hosts.start(&dir);
    hosts.add("web2", &sshd, "ca");
    hosts.world.grant("web2", &hosts.world.login(), "10m");
    assert_eq!(hosts.run("web2").0, "here\n");
    let key = text(&dir.join("host_key"));
    fs::remove_file(&key).expect("it goes");
    keygen(&["-t", "ecdsa", "-N", "", "-C", "web2", "-f", &key]);
    hosts.certify(&dir, "ca", &["-h", "-n", "127.0.0.1"]);
    // It begins anew with what is there now, at the same port.
    sshd.daemon().signal("HUP");
    let shows = || {
        let port = sshd.port().to_string();
        let scan = ["-p", &port, "-t", "ecdsa", "127.0.0.1"];
        let seen = Command::new("ssh-keyscan").args(scan).output().ok()?;
        out(&seen).contains("ecdsa").then_some(())
    };
    tests::until("it shows the other key", shows);
    let (out, err) = hosts.run("web2");
    assert_eq!(out, "here\n", "{err}");
}

/// A host that does not prove who it is.
struct Liar {
    name: &'static str,
    /// Its host key.
    kind: &'static [&'static str],
    /// Who signed its certificate, and how; nobody where it has none.
    certificate: Option<(&'static str, &'static [&'static str])>,
    /// By which CA it is known.
    known_by: &'static str,
    /// What whoever adds it is told.
    told: &'static str,
}

const ED25519: &[&str] = &["-t", "ed25519"];

const LIARS: &[Liar] = &[
    Liar {
        name: "other-ca",
        kind: ED25519,
        certificate: Some(("other", &["-h", "-n", "127.0.0.1"])),
        known_by: "ca",
        told: "its host certificate is by another CA: SHA256:",
    },
    Liar {
        name: "over",
        kind: ED25519,
        certificate: Some(("ca", &["-h", "-n", "127.0.0.1", "-V", "20200103:20200202"])),
        known_by: "ca",
        told: "its host certificate ended at 2020-02-0",
    },
    Liar {
        name: "early",
        kind: ED25519,
        certificate: Some(("ca", &["-h", "-n", "127.0.0.1", "-V", "+1d:+2d"])),
        known_by: "ca",
        told: "its host certificate begins only at 20",
    },
    Liar {
        name: "other-name",
        kind: ED25519,
        certificate: Some(("ca", &["-h", "-n", "web9.example,127.0.0.2"])),
        known_by: "ca",
        told: "its host certificate is not for `127.0.0.1`, as it is called in --addr",
    },
    Liar {
        name: "pattern",
        kind: ED25519,
        certificate: Some(("ca", &["-h", "-n", "*,127.*,*.0.0.1"])),
        known_by: "ca",
        told: "its host certificate is not for `127.0.0.1`, as it is called in --addr",
    },
    Liar {
        name: "nameless",
        kind: ED25519,
        certificate: Some(("ca", &["-h"])),
        known_by: "ca",
        told: "its host certificate names no host, and has to name `127.0.0.1`",
    },
    Liar {
        name: "persons",
        kind: ED25519,
        certificate: Some(("ca", &["-n", "127.0.0.1"])),
        known_by: "ca",
        told: "the certificate that it shows is a person's, not a host's",
    },
    Liar {
        name: "option",
        kind: ED25519,
        certificate: Some((
            "ca",
            &["-h", "-n", "127.0.0.1", "-O", "critical:odd@example.com=1"],
        )),
        known_by: "ca",
        told: "its host certificate has a critical option, and none is known",
    },
    Liar {
        name: "sha-1",
        kind: ED25519,
        certificate: Some(("rsa", &["-t", "ssh-rsa", "-h", "-n", "127.0.0.1"])),
        known_by: "rsa",
        told: "its host certificate is signed with SHA-1",
    },
    Liar {
        name: "short",
        kind: &["-t", "rsa", "-b", "1024"],
        certificate: Some(("ca", &["-h", "-n", "127.0.0.1"])),
        known_by: "ca",
        told: "of a kind or a length that is not believed",
    },
    Liar {
        name: "plain",
        kind: ED25519,
        certificate: None,
        known_by: "ca",
        told: "it shows no host certificate, and it is known by the CA of those",
    },
];

#[test]
fn a_host_without_a_good_certificate_of_its_ca_is_told_apart_and_sent_nothing() {
    let hosts = Hosts::set();
    hosts.ca("other", ED25519);
    hosts.ca("rsa", &["-t", "rsa", "-b", "3072"]);
    let mut wrong = Vec::new();
    for liar in LIARS {
        let dir = hosts.key(liar.name, liar.kind);
        if let Some((ca, how)) = liar.certificate {
            hosts.certify(&dir, ca, how);
        }
        let sshd = hosts.start(&dir);
        let said = hosts.add(liar.name, &sshd, liar.known_by);
        if said.contains("and ready") || !said.contains(liar.told) {
            wrong.push(format!("{}: bob reads {said}", liar.name));
        }
        hosts.world.grant(liar.name, &hosts.world.login(), "10m");
        let (heard, said) = hosts.run(liar.name);
        if !heard.is_empty() || !said.contains("TG402") {
            wrong.push(format!("{}: alice reads {heard}{said}", liar.name));
        }
        let log = fs::read_to_string(dir.join("sshd.log")).expect("it has a log");
        if ["Accepted", "Failed", "authenticat"]
            .iter()
            .any(|sign| log.contains(sign))
        {
            wrong.push(format!("{}: somebody tried to log in: {log}", liar.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// A host that shows certificates and no plain keys, which nobody can look at but whoever knows the CA.
#[test]
fn a_host_that_shows_certificates_alone_is_entered() {
    let hosts = Hosts::set();
    let dir = hosts.key("web2", ED25519);
    hosts.certify(&dir, "ca", &["-h", "-n", "127.0.0.1"]);
    let shown = format!(
        "HostCertificate {}\nHostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com",
        dir.join("host_key-cert.pub").display()
    );
    let sshd = hosts.start_with(&dir, &shown);
    let said = hosts.add("web2", &sshd, "ca");
    assert!(said.contains("and ready"), "{said}");
    hosts.world.grant("web2", &hosts.world.login(), "10m");
    let (out, err) = hosts.run("web2");
    assert_eq!(out, "here\n", "{err}");
}

const DSA: &str = "ssh-dss AAAAB3NzaC1kc3MAAACBAMCX6FR0+S6mId0J6WC3zCS6S77C7TdRow3mfRiR/15VxuVSKtcpNcMKxtueRR0Uog6zS2TuWwkH8uaKn3L/CRN62xod6QryibYUS2eL87OEzlRWUHgqFr3wjz/NV19EWpcWenycxm/I9y+/ZBUZTWUfVzLw/iTaCiULVNhk//+TAAAAFQCRiaTRq9tprWDcPbDPfinPqmgXcQAAAIBFN9GJD95lMD5vsLIbzkvl/YfxGe4vsEAqoXUVKfwH+9SET+zFP5aUvzgiSwucbHhb464DVlwhUK0rgf7aQNQTwasiDcMqQGQWtc+ncPRxS95xu/YekD/61n4gY7VQDORUcAE0k/09jHi8vWAMkS5dosEUlvzcPGpuCJcEJXsVqwAAAIEApTk7Mb9KkrHSjOMwXle6yZeVo1PdEL6mgZBzlzK3+XQhyTKC/57kZaThlsiN45t3rOQlfw9LUN3s2cOp3VlXHkFlYPqhwGjl8ycqWqvtmx1Nzy/jAtVEUyHRxYVf7d1+pGfA0BTjRSmkm39PJsnJsTa0nQceGy9o29QVjuP9ou8=";

const RSA_1024: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCnzztTzsHUpX+eeknR9ZFrXm63Mv5+ISHZjBP/H92Dg+aSv/zhW/Q7kGfcLOBmAcVGHOTDirh/ppx4n8CLHbi82S1/kq3kyphVGx4I3HwJE2x3ANHQ43UG/zTc96p7Mfjq9k+E7K+Yc/6L12KaT7GLCVVVES8mW1Wufu8koxBZSQ==";

const IN_TOKEN: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1EaAAAABHNzaDo=";

#[test]
fn what_is_no_key_is_refused_before_it_is_added() {
    let hosts = Hosts::set();
    let world = &hosts.world;
    let addr = world.sshd().addr().to_string();
    let dir = hosts.key("web2", ED25519);
    hosts.certify(&dir, "ca", &["-h", "-n", "127.0.0.1"]);
    let certificate = fs::read_to_string(dir.join("host_key-cert.pub")).expect("it is made");
    for (flag, text) in [
        ("--host-ca", "/etc/ssh/ca.pub"),
        ("--host-ca", "@cert-authority * ssh-ed25519 AAAA"),
        (
            "--host-key",
            "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        ),
        // By none of these any server is believed.
        ("--host-key", certificate.as_str()),
        ("--host-ca", &certificate),
        ("--host-key", IN_TOKEN),
        ("--host-ca", IN_TOKEN),
        ("--host-key", DSA),
        ("--host-ca", DSA),
        ("--host-key", RSA_1024),
    ] {
        let line = [
            "tidegate", "target", "add", "ssh", "web2", "--addr", &addr, "--login", "root", flag,
            text,
        ];
        let added = world.bob().output(&line).expect("it runs");
        assert_eq!(added.status.code(), Some(2), "{text}: {}", err(&added));
        assert!(err(&added).contains("ssh-ed25519 AAAA"), "{}", err(&added));
    }
}
