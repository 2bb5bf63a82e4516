use std::os::unix::fs::PermissionsExt;

use russh::keys::signature;

use super::*;
use crate::fixtures::{Bench, Dice, NOW, Scratch, at};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

impl Bench {
    fn dir(&self) -> PathBuf {
        self.scratch.path().join("ca")
    }

    fn open(&self) -> Result<Keys, OpenError> {
        Keys::open(&self.dir(), &self.passphrase)
    }
}

const SECRET: [&str; 7] = [
    "ssh-user-ca-1",
    "ssh-login-ca-1",
    "ssh-host-ca-1",
    "ssh-host-1",
    "recording-seal-1",
    "x509-target-ca-1",
    "x509-login-ca-1",
];

#[test]
fn every_key_file_is_encrypted_and_for_its_owner_alone() {
    let bench = Bench::new();
    assert_eq!(mode(&bench.dir()), 0o700);
    for name in SECRET {
        let path = bench.dir().join(name);
        assert_eq!(mode(&path), 0o600, "{name}");
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            PrivateKey::from_openssh(text).unwrap().is_encrypted(),
            "{name}"
        );
        assert!(path.with_extension("pub").is_file(), "{name}");
    }
    assert!(bench.dir().join("x509-target-ca-1.crt").is_file());
    assert!(bench.dir().join("x509-login-ca-1.crt").is_file());
    assert_eq!(fs::read_dir(bench.dir()).unwrap().count(), 16);
    assert!(!bench.scratch.path().join("ca.new").exists());
}

#[test]
fn stock_ssh_keygen_opens_a_key_with_the_passphrase() {
    let bench = Bench::new();
    let read = |passphrase: &str| {
        bench.scratch.tool(
            "ssh-keygen",
            &["-y", "-P", passphrase, "-f", "ca/ssh-user-ca-1"],
        )
    };
    let Some(opened) = read(bench.passphrase.expose()) else {
        return;
    };
    assert!(opened.good, "{}", opened.text);
    assert_eq!(
        opened.text.trim(),
        bench.authority.trust_bundle().ssh_user_ca
    );
    assert!(!read("something else").unwrap().good);
}

#[test]
fn what_was_created_opens_again_as_the_same() {
    let bench = Bench::new();
    let opened = crate::Authority::open(&bench.dir(), &bench.passphrase).unwrap();
    assert_eq!(opened.trust_bundle(), bench.authority.trust_bundle());
}

#[test]
fn an_authority_without_a_host_key_opens_and_one_that_is_damaged_does_not() {
    let bench = Bench::new();
    let path = bench.dir().join("ssh-host-1");
    let kept = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(bench.open().unwrap().ssh_host.is_none());
    fs::copy(bench.dir().join("x509-login-ca-1"), &path).unwrap();
    assert!(matches!(bench.open(), Err(OpenError::Kind { .. })));
    fs::write(&path, kept).unwrap();
    assert!(bench.open().unwrap().ssh_host.is_some());
}

#[test]
fn a_thought_up_passphrase_is_stretched_and_works() {
    let scratch = Scratch::new();
    let dir = scratch.path().join("ca");
    let passphrase = Passphrase::parse("correct horse").unwrap();
    fs::create_dir(&dir).unwrap();
    let mut dice = Dice::new(1);
    let name = KeyName::RecordingSeal;
    let private = Ed25519Key::generate(&mut dice, &name.comment()).unwrap();
    file::write(&dir, name, &private, &passphrase, &mut dice).unwrap();
    assert_eq!(
        file::read(&dir, name, &passphrase).unwrap().key_data(),
        private.key_data()
    );
    let text = fs::read_to_string(name.path(&dir)).unwrap();
    let read = PrivateKey::from_openssh(text).unwrap();
    assert!(matches!(
        read.kdf(),
        russh::keys::ssh_key::Kdf::Bcrypt { rounds: 24, .. }
    ));
}

#[test]
fn another_passphrase_opens_nothing() {
    let bench = Bench::new();
    let other = Passphrase::generate(&mut Dice::new(99));
    let refused = Keys::open(&bench.dir(), &other).unwrap_err();
    assert!(matches!(refused, OpenError::Passphrase { .. }), "{refused}");
}

#[test]
fn a_key_that_others_can_read_is_refused_with_what_to_do() {
    let bench = Bench::new();
    let path = bench.dir().join("ssh-user-ca-1");
    for exposed in [0o640, 0o604, 0o620, 0o601] {
        set_mode(&path, exposed);
        let refused = bench.open().unwrap_err().to_string();
        assert_eq!(
            refused,
            format!(
                "`{}` can be read by others (mode {exposed:04o}); chmod 0600 it",
                path.display()
            )
        );
    }
    set_mode(&path, 0o400);
    bench.open().unwrap();
}

#[test]
fn a_damaged_missing_plain_or_exchanged_key_is_refused() {
    let bench = Bench::new();
    let path = bench.dir().join("ssh-user-ca-1");
    let good = fs::read_to_string(&path).unwrap();

    // One character of the encrypted part.
    let at = good.len() / 2;
    let other = if good.as_bytes()[at] == b'A' {
        "B"
    } else {
        "A"
    };
    let mut damaged = good.clone();
    damaged.replace_range(at..=at, other);
    fs::write(&path, &damaged).unwrap();
    let refused = bench.open().unwrap_err();
    assert!(matches!(
        refused,
        OpenError::Passphrase { .. } | OpenError::Format { .. }
    ));

    fs::write(&path, "nonsense").unwrap();
    assert!(matches!(
        bench.open().unwrap_err(),
        OpenError::Format { .. }
    ));

    let plain = Ed25519Key::generate(&mut Dice::new(1), "x").unwrap();
    fs::write(
        &path,
        plain
            .to_openssh(russh::keys::ssh_key::LineEnding::LF)
            .unwrap(),
    )
    .unwrap();
    assert!(matches!(bench.open().unwrap_err(), OpenError::Plain { .. }));

    for other in ["x509-target-ca-1", "ssh-login-ca-1", "recording-seal-1"] {
        fs::copy(bench.dir().join(other), &path).unwrap();
        assert!(matches!(bench.open().unwrap_err(), OpenError::Kind { .. }));
    }

    fs::remove_file(&path).unwrap();
    assert!(matches!(bench.open().unwrap_err(), OpenError::Read { .. }));

    fs::write(&path, good).unwrap();
    set_mode(&path, 0o600);
    bench.open().unwrap();
}

#[test]
fn the_certificate_of_another_ca_is_not_taken_for_its_own() {
    let bench = Bench::new();
    let path = bench.dir().join("x509-target-ca-1.crt");
    fs::copy(bench.dir().join("x509-login-ca-1.crt"), &path).unwrap();
    assert!(matches!(
        bench.open().unwrap_err(),
        OpenError::Certificate { .. }
    ));
    fs::write(&path, "nonsense").unwrap();
    assert!(matches!(
        bench.open().unwrap_err(),
        OpenError::Certificate { .. }
    ));
}

#[test]
fn what_is_wrong_with_the_files_is_seen_without_the_passphrase_and_at_once() {
    let bench = Bench::new();
    let file = |name: &str| bench.dir().join(name);
    let seen = || {
        let seen = Keys::look(&bench.dir());
        let names = seen.iter().map(|odd| match odd {
            OpenError::Read { path, .. } => ("read", path.clone()),
            OpenError::Exposed { path, .. } => ("exposed", path.clone()),
            OpenError::Format { path } => ("format", path.clone()),
            OpenError::Plain { path } => ("plain", path.clone()),
            OpenError::Passphrase { path } => ("passphrase", path.clone()),
            OpenError::Kind { path } => ("kind", path.clone()),
            OpenError::Certificate { path } => ("certificate", path.clone()),
        });
        names.collect::<Vec<_>>()
    };
    assert_eq!(seen(), []);
    set_mode(&file("ssh-user-ca-1"), 0o640);
    fs::write(file("ssh-login-ca-1"), "nonsense").unwrap();
    fs::copy(file("ssh-host-ca-1"), file("ssh-host-1")).unwrap();
    fs::copy(file("x509-login-ca-1.crt"), file("x509-target-ca-1.crt")).unwrap();
    fs::remove_file(file("x509-login-ca-1")).unwrap();
    let plain = Ed25519Key::generate(&mut Dice::new(1), "x").unwrap();
    let plain = plain.to_openssh(russh::keys::ssh_key::LineEnding::LF);
    fs::write(file("recording-seal-1"), plain.unwrap()).unwrap();
    assert_eq!(
        seen(),
        [
            ("exposed", file("ssh-user-ca-1")),
            ("format", file("ssh-login-ca-1")),
            ("kind", file("ssh-host-1")),
            ("certificate", file("x509-target-ca-1.crt")),
            ("read", file("x509-login-ca-1")),
            ("plain", file("recording-seal-1")),
        ]
    );
    // Of this one there may be none.
    fs::remove_file(file("ssh-host-1")).unwrap();
    assert!(!seen().contains(&("read", file("ssh-host-1"))));
    let nowhere = file("nowhere");
    let seen = Keys::look(&nowhere);
    assert!(
        matches!(&seen[..], [OpenError::Read { path, .. }] if *path == nowhere),
        "one, not one of each: {seen:?}"
    );
}

#[test]
fn an_authority_is_never_overwritten() {
    let mut bench = Bench::new();
    let refused = Keys::create(&bench.dir(), &bench.passphrase, at(NOW), &mut bench.dice);
    assert!(matches!(refused.unwrap_err(), CreateError::Exists { .. }));
    bench.open().unwrap();
}

#[test]
fn an_empty_directory_is_filled() {
    let scratch = Scratch::new();
    let dir = scratch.path().join("deep").join("ca");
    fs::create_dir_all(&dir).unwrap();
    let mut dice = Dice::new(3);
    let passphrase = Passphrase::generate(&mut dice);
    Keys::create(&dir, &passphrase, at(NOW), &mut dice).unwrap();
    Keys::open(&dir, &passphrase).unwrap();
}

#[test]
fn a_ca_certificate_signs_ends_of_chains_only() {
    let bench = Bench::new();
    for (name, key) in [
        (
            "x509-target-ca",
            bench.authority.trust_bundle().x509_target_ca,
        ),
        (
            "x509-login-ca",
            bench.authority.trust_bundle().x509_login_ca,
        ),
    ] {
        let (_, block) = x509_parser::pem::parse_x509_pem(key.as_bytes()).unwrap();
        let read = block.parse_x509().unwrap();
        let constraints = read.basic_constraints().unwrap().unwrap().value;
        assert!(constraints.ca && constraints.path_len_constraint == Some(0));
        let usage = read.key_usage().unwrap().unwrap().value;
        assert!(usage.key_cert_sign() && usage.crl_sign() && !usage.digital_signature());
        assert!(
            read.subject()
                .to_string()
                .starts_with(&format!("CN=tidegate {name} "))
        );
    }
}

#[test]
fn an_authority_that_was_made_with_ed25519_keys_keeps_them() {
    let bench = Bench::new();
    let name = KeyName::SshUserCa;
    for suffix in ["", ".pub"] {
        fs::remove_file(bench.dir().join(format!("ssh-user-ca-1{suffix}"))).unwrap();
    }
    let mut dice = Dice::new(5);
    let older = Ed25519Key::generate(&mut dice, &name.comment()).unwrap();
    file::write(&bench.dir(), name, &older, &bench.passphrase, &mut dice).unwrap();
    let keys = bench.open().unwrap();
    assert_eq!(keys.ssh_user_ca.public(), older.public_key());
    let odd = Keys::look(&bench.dir());
    assert!(odd.is_empty(), "{odd:?}");
    for signer in [&keys.ssh_user_ca, &keys.ssh_login_ca] {
        let signature = signature::Signer::try_sign(signer, b"x").unwrap();
        let public = signer.public().key_data();
        signature::Verifier::verify(public, b"x", &signature).unwrap();
    }
}
