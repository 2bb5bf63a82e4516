//! Passwords that are typed as SQL, at a real server: no part of one stands in the recording.

use tests::World;
use tests::pg::kinds;

/// It is one constant to the server.
#[tokio::test]
async fn a_password_that_goes_on_in_the_next_line_stands_nowhere_in_the_recording() {
    let world = World::new();
    world.grant_pg("10m");
    let mut client = world.pg_client().await;
    let sql = "set x.y = 'z'; alter role app password 'hun-1'\n-- more\n'ter-2'";
    let said = client.query(sql).await.unwrap();
    assert_eq!(kinds(&said), "CCZ", "{said:?}");
    drop(client);
    let whole = world.sql(
        "select rolpassword like 'md5%' or rolpassword like 'SCRAM%' from pg_authid where rolname = 'app'",
    );
    assert_eq!(whole, "t");
    let session = world.ended_sessions()[0]["id"].as_str().unwrap().to_owned();
    for way in ["--text", "--jsonl"] {
        let said = world.exported(&session, way);
        assert!(said.contains("-- more"), "{said}");
        for part in ["hun-1", "ter-2"] {
            assert!(!said.contains(part), "{part} in {said}");
        }
    }
}

/// A server shows where it gave up reading a text, which can be the password.
#[tokio::test]
async fn a_password_in_the_words_of_an_error_stands_nowhere_in_the_recording() {
    let world = World::new();
    world.grant_pg("10m");
    let mut client = world.pg_client().await;
    for sql in [
        "alter role app password 'hun-1",
        "alter role app password 'hun-2'\n'ter-3",
    ] {
        let said = client.query(sql).await.unwrap();
        assert_eq!(kinds(&said), "EZ");
        let told = said[0].field(b'M').unwrap_or_default();
        assert!(told.contains("'hun-"), "{told}");
    }
    client.query("select 'shown' from nowhere").await.unwrap();
    drop(client);
    let session = world.ended_sessions()[0]["id"].as_str().unwrap().to_owned();
    for way in ["--text", "--jsonl"] {
        let said = world.exported(&session, way);
        assert!(said.contains("unterminated quoted string"), "{said}");
        assert!(said.contains("nowhere"), "{said}");
        for part in ["hun-1", "hun-2", "ter-3"] {
            assert!(!said.contains(part), "{part} in {said}");
        }
    }
}
