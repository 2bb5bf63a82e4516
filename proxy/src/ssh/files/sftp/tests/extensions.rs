//! What is told of extensions that we do not know.

use super::*;

fn extension(number: u32, name: &[u8], fields: &[u8]) -> Vec<u8> {
    packet(200, &[&id(number), &string(name), fields])
}

/// What is told of one.
fn told_of(name: &[u8], fields: &[u8]) -> (String, String) {
    let mut scene = Scene::greeted();
    scene.ask(&extension(1, name, fields)).unwrap();
    let Frame::File(operation) = scene.said[0].frame(0) else {
        panic!("a file operation");
    };
    (operation.action.to_owned(), operation.detail.to_owned())
}

#[test]
fn what_an_unknown_extension_carries_is_told_whole_or_by_its_digest() {
    let (action, detail) = told_of(b"vendor@example", b"\0\x01a path");
    assert_eq!(action, "extended");
    assert_eq!(detail, r#""vendor@example" \x00\x01a path"#);
    let (_, short) = told_of(b"x", &[b'a'; 256]);
    assert_eq!(short, format!(r#""x" {}"#, "a".repeat(256)));
    let mut long = vec![b'a'; 60_000];
    let (_, one) = told_of(b"x", &long);
    assert!(one.contains(&"a".repeat(256)), "{one}");
    assert!(one.contains("60000 bytes SHA256:"), "{one}");
    // A change behind what is written down shows.
    long[59_999] = b'b';
    assert_ne!(told_of(b"x", &long).1, one);
    // Nor are two names told as one.
    assert_ne!(told_of(b"\xff", b"").1, told_of(b"\xfe", b"").1);
}

#[test]
fn an_extension_is_told_as_no_operation_of_ours() {
    let made_up = b"close /srv/in/a.csv, 4096 bytes written sha256 9f86";
    for name in [&b"remove /a"[..], b"realpath", made_up, b"\"x"] {
        let (action, detail) = told_of(name, b"");
        assert_eq!(action, "extended");
        assert_eq!(detail, format!("\"{}\"", name.escape_ascii()));
    }
    // Nor does its answer say where the account is at home.
    let mut scene = Scene::greeted();
    scene.ask(&extension(1, b"realpath", b"")).unwrap();
    let name = string(b"/elsewhere");
    let names = packet(104, &[&id(1), &id(1), &name, &name, &id(0)]);
    scene.answer(&names).unwrap();
    assert_eq!(scene.sftp.talk.home, None);
}

#[test]
fn long_names_of_extensions_that_wait_are_counted() {
    let mut scene = Scene::greeted();
    let name = vec![b'n'; 60_000];
    let ended = (0..1000).find_map(|number| scene.ask(&extension(number, &name, b"")).err());
    assert_eq!(ended, Some(Unclear::Flood));
}
