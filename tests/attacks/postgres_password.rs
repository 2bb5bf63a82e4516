//! One-time passwords: guessing them, bending their proof, and using them beside their meaning.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use rustls::ClientConfig;
use tests::World;
use tests::pg::{self, Message, PgClient, message, startup};

use crate::door;

/// A URL that alice had made: its user name and its password.
pub(super) struct Secret {
    pub(super) user: String,
    password: String,
}

pub(super) fn secret(world: &World, uses: &str) -> Secret {
    let line = ["pg", "url", "orders", "--uses", uses];
    let made = world.alice().json(&line).expect("alice is given a URL");
    let text = |name: &str| {
        let found = made.get(name).and_then(|text| text.as_str());
        found.expect("a text").to_owned()
    };
    Secret {
        user: text("user"),
        password: text("password"),
    }
}

/// A connection on which a password has been asked for, and what it was asked for with.
async fn asked(
    world: &World,
    tls: &Arc<ClientConfig>,
    user: &str,
) -> io::Result<(PgClient, Message)> {
    let mut client = PgClient::encrypt(door(world.doors().postgres), tls).await?;
    let wish = startup(&[("user", user), ("database", "orders")]);
    client.send(&wish).await?;
    let asked = client.next().await?;
    Ok((client, asked))
}

/// `SASLInitialResponse`.
pub(super) fn initial(mechanism: &str, first: &[u8]) -> Vec<u8> {
    let length = u32::try_from(first.len()).expect("it is short");
    let body = [mechanism.as_bytes(), b"\0", &length.to_be_bytes(), first];
    message(b'p', &body.concat())
}

/// The body behind the number of an authentication message.
fn said(message: &Message, number: u32) -> &[u8] {
    assert_eq!(message.kind, b'R', "{message:?}");
    let (head, body) = message.body.split_at(4);
    assert_eq!(head, number.to_be_bytes(), "{message:?}");
    body
}

/// Goes through the whole exchange. Gives back the connection, the last message that was sent and
/// the answer to it.
async fn prove(
    world: &World,
    tls: &Arc<ClientConfig>,
    (user, password): (&str, &str),
    behind: &[u8],
) -> io::Result<(PgClient, Vec<u8>, Message)> {
    let (mut client, _asked) = asked(world, tls, user).await?;
    let mut scram = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
    let first = scram.message().to_vec();
    client.send(&initial("SCRAM-SHA-256", &first)).await?;
    let server_first = client.next().await?;
    scram.update(said(&server_first, 11))?;
    let last = message(b'p', scram.message());
    client.send(&[&last, behind].concat()).await?;
    let answer = client.next().await?;
    if answer.kind == b'R' {
        scram.finish(said(&answer, 12))?;
    }
    Ok((client, last, answer))
}

fn is_told(answer: &Message, sqlstate: &str, what: &str) {
    assert_eq!(answer.kind, b'E', "{answer:?}");
    assert_eq!(answer.field(b'C').as_deref(), Some(sqlstate), "{answer:?}");
    let message = answer.field(b'M').unwrap_or_default();
    assert!(message.contains(what), "{message}");
}

#[tokio::test]
async fn a_proof_is_good_on_no_other_connection() {
    let world = World::new();
    world.grant_pg("10m");
    let tls = pg::anonymous_tls(&world.alice().state_dir());
    let secret = secret(&world, "5");
    let (mut client, last, answer) = prove(&world, &tls, (&secret.user, &secret.password), &[])
        .await
        .unwrap();
    assert_eq!(answer.kind, b'R', "{answer:?}");
    client.until_ready().await.unwrap();

    let (mut client, _asked) = asked(&world, &tls, &secret.user).await.unwrap();
    let first = initial("SCRAM-SHA-256", b"n,,n=,r=abcdefghijklmnopqrstuvwx");
    client.send(&first).await.unwrap();
    client.next().await.unwrap();
    client.send(&last).await.unwrap();
    is_told(&client.next().await.unwrap(), "08P01", "another question");
}

#[tokio::test]
async fn nobody_between_client_and_bastion_takes_channel_binding_away() {
    let world = World::new();
    world.grant_pg("10m");
    let tls = pg::anonymous_tls(&world.alice().state_dir());
    let secret = secret(&world, "1");
    for (mechanism, first, what) in [
        (
            "SCRAM-SHA-256",
            "y,,n=,r=abc",
            "channel binding is not offered, and it is",
        ),
        ("SCRAM-SHA-256-PLUS", "n,,n=,r=abc", "does not bind"),
        ("SCRAM-SHA-256-PLUS", "y,,n=,r=abc", "does not bind"),
        (
            "SCRAM-SHA-256-PLUS",
            "p=tls-unique,,n=,r=abc",
            "not supported",
        ),
        (
            "SCRAM-SHA-256",
            "p=tls-server-end-point,,n=,r=abc",
            "did not choose to",
        ),
        ("SCRAM-SHA-1", "n,,n=,r=abc", "not offered"),
        ("PLAIN", "n,,n=,r=abc", "not offered"),
    ] {
        let (mut client, asked) = asked(&world, &tls, &secret.user).await.unwrap();
        let offered = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";
        assert_eq!(said(&asked, 10), offered);
        let first = initial(mechanism, first.as_bytes());
        client.send(&first).await.unwrap();
        is_told(&client.next().await.unwrap(), "08P01", what);
    }
}

#[tokio::test]
async fn what_is_no_proof_ends_the_connection_and_nothing_else() {
    let world = World::new();
    world.grant_pg("10m");
    let tls = pg::anonymous_tls(&world.alice().state_dir());
    let secret = secret(&world, "1");
    let long = [&b"n,,n=,r="[..], &[b'a'; 4000]].concat();
    for bytes in [
        initial("SCRAM-SHA-256", &long),
        initial("SCRAM-SHA-256", b"n,,n=,r="),
        initial("SCRAM-SHA-256", b"n,,n="),
        initial("SCRAM-SHA-256", b"n,a=root,n=,r=abc"),
        initial("SCRAM-SHA-256", b"n,,m=1,n=,r=abc"),
        initial("SCRAM-SHA-256", b""),
        message(b'p', b""),
        message(b'p', b"SCRAM-SHA-256\0\xff\xff\xff\xff"),
        message(b'p', b"SCRAM-SHA-256\0\x7f\xff\xff\xffn,,n=,r=abc"),
        message(b'p', b"SCRAM-SHA-256\0\0\0\0\x0bn,,n=,r=abcmore"),
        vec![b'p', 0, 0, 0, 3],
        vec![b'p', 0x7f, 0xff, 0xff, 0xff],
        vec![b'p', 0xff, 0xff, 0xff, 0xff],
        pg::query("select 1"),
    ] {
        let (mut client, _asked) = asked(&world, &tls, &secret.user).await.unwrap();
        client.send(&bytes).await.unwrap();
        let told = client.until_closed().await;
        assert!(told.is_none_or(|told| told.field(b'C').as_deref() == Some("08P01")));
    }
    let known = (secret.user.as_str(), secret.password.as_str());
    let (mut client, _last, answer) = prove(&world, &tls, known, &[]).await.unwrap();
    assert_eq!(answer.kind, b'R', "it has not been used: {answer:?}");
    client.until_ready().await.unwrap();
}

#[tokio::test]
async fn a_stranger_cannot_tell_which_passwords_there_are() {
    let world = World::new();
    world.grant_pg("10m");
    let tls = pg::anonymous_tls(&world.alice().state_dir());
    let known = secret(&world, "1");
    let used = secret(&world, "1");
    let right = (used.user.as_str(), used.password.as_str());
    prove(&world, &tls, right, &[]).await.unwrap();
    let unknown = format!("app+sec_{}", "0".repeat(26));
    let mut shapes = Vec::new();
    for user in [&known.user, &used.user, &unknown, &"app+x".to_owned()] {
        let mut salts = Vec::new();
        for _twice in 0..2 {
            let (mut client, first_asked) = asked(&world, &tls, user).await.unwrap();
            let first = initial("SCRAM-SHA-256", b"n,,n=,r=abc");
            client.send(&first).await.unwrap();
            let answer = client.next().await.unwrap();
            let text = String::from_utf8_lossy(said(&answer, 11)).into_owned();
            let parts: Vec<&str> = text.split(',').collect();
            let [nonce, salt, times] = parts.as_slice() else {
                panic!("{text}");
            };
            salts.push((*salt).to_owned());
            shapes.push((
                first_asked.body.clone(),
                nonce.len(),
                salt.len(),
                (*times).to_owned(),
            ));
        }
        assert_eq!(salts.first(), salts.last(), "asked again, the same salt");
        let (_client, _last, answer) = prove(&world, &tls, (user, "wrong"), &[]).await.unwrap();
        is_told(&answer, "28P01", "do not belong together");
        assert_eq!(answer.field(b'D').as_deref(), Some("tidegate code TG541"));
    }
    assert!(
        shapes.windows(2).all(|two| two.first() == two.last()),
        "{shapes:?}"
    );
}

#[tokio::test]
async fn what_is_sent_behind_a_proof_runs_only_if_the_proof_is_good() {
    let world = World::new();
    world.grant_pg("10m");
    let tls = pg::anonymous_tls(&world.alice().state_dir());
    let secret = secret(&world, "1");
    let sql = pg::query("insert into orders values (77777, 'smuggled')");
    let (mut client, _last, answer) = prove(&world, &tls, (&secret.user, "wrong"), &sql)
        .await
        .unwrap();
    is_told(&answer, "28P01", "do not belong together");
    assert!(client.until_closed().await.is_none());
    assert_eq!(
        world.sql("select count(*) from orders where id = 77777"),
        "0"
    );
}

#[tokio::test]
async fn whoever_guesses_passwords_is_kept_out_for_a_while() {
    let world = World::new();
    world.grant_pg("10m");
    let secret = secret(&world, "1");
    let tls = pg::anonymous_tls(&world.alice().state_dir());
    let from = Ipv4Addr::new(127, 8, 8, 8);
    let mut told = Vec::new();
    for _each in 0..6 {
        let to = door(world.doors().postgres);
        let heard = async {
            let mut client = PgClient::encrypt_from(from.into(), to, &tls).await?;
            let wish = startup(&[("user", &secret.user), ("database", "orders")]);
            client.send(&wish).await?;
            client.next().await?;
            client
                .send(&initial("SCRAM-SHA-256", b"n,,n=,r=abc"))
                .await?;
            let answer = client.next().await?;
            let text = String::from_utf8_lossy(said(&answer, 11)).into_owned();
            let nonce = text.split(',').next().unwrap_or_default();
            let zeros = format!("{}=", "A".repeat(43));
            let last = format!("c=biws,{nonce},p={zeros}");
            client.send(&message(b'p', last.as_bytes())).await?;
            client.next().await
        };
        told.push(heard.await.is_ok());
    }
    assert_eq!(told.first(), Some(&true), "{told:?}");
    assert_eq!(told.last(), Some(&false), "{told:?}");
    let known = (secret.user.as_str(), secret.password.as_str());
    let (_client, _last, answer) = prove(&world, &tls, known, &[]).await.unwrap();
    assert_eq!(answer.kind, b'R', "from elsewhere: {answer:?}");
}

#[test]
fn no_password_is_kept_or_logged() {
    let world = World::new();
    world.grant_pg("10m");
    let secret = secret(&world, "1");
    let dir = world.dir().display().to_string();
    let found = std::process::Command::new("grep")
        .args(["-rlF", &secret.password, &dir])
        .output()
        .expect("grep runs");
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    let name = secret.user.split('+').nth(1).expect("a name").to_owned();
    let found = std::process::Command::new("grep")
        .args(["-rlF", &name, &dir])
        .output()
        .expect("grep runs");
    assert!(
        !found.stdout.is_empty(),
        "its name is in the log of changes"
    );
}
