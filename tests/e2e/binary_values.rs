//! Values that are bound in binary, as a recording shows them: held against the server's own words.
//!
//! The bytes are made up. What the server takes of them has to be shown as its output function writes it, and pasted
//! back as SQL it has to be the same value; what it does not take is shown as bytes. Text is shown as it came,
//! whether it is taken or not.

mod dice;

use serde_json::Value;
use tests::World;
use tests::pg::{Message, PgClient, execute, message, sync};

use dice::Dice;

/// The types that a recording knows, and of each its arrays.
const TYPES: &str = "bool bytea char name int8 int2 int4 text oid json xml cidr float4 float8 macaddr8 macaddr inet \
                     bpchar varchar date time timestamp timestamptz interval timetz bit varbit numeric uuid jsonb";

/// Of these the server looks at what a recording takes as it is.
const TEXTS: [&str; 7] = ["name", "text", "json", "xml", "bpchar", "varchar", "jsonb"];

/// How many values there are of each type, and how many arrays.
const VALUES: usize = 48;
const ARRAYS: usize = 24;

/// One value, and what becomes of it.
struct Bound {
    oid: u32,
    /// The type, or that of an array's elements.
    name: String,
    /// As SQL writes its type. In quotes, `bit` is of any length and `char` is one byte.
    title: String,
    /// What sends it.
    send: String,
    bytes: Vec<u8>,
    /// The bytes that the server sends for it, and how it writes it. `None` where it does not take it.
    taken: Option<[String; 2]>,
    shown: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn values_in_binary_are_shown_as_the_server_writes_them() {
    let world = World::new();
    world.grant_pg("10m");
    let mut bound = made_up(&world);
    let mut client = world.pg_client().await;
    client
        .query("set timezone = 'UTC'")
        .await
        .expect("it is answered");
    for each in bound.chunk_by_mut(|one, other| one.title == other.title) {
        bind(&mut client, each).await;
    }
    drop(client);
    let session = world.ended_sessions()[0]["id"].as_str().map(str::to_owned);
    let exported = world.exported(&session.expect("an id"), "--jsonl");
    let shown: Vec<String> = exported.lines().filter_map(shown).collect();
    assert_eq!(shown.len(), bound.len(), "each is in the recording");
    for (bound, shown) in bound.iter_mut().zip(shown) {
        bound.shown = shown;
    }
    let wrong: Vec<String> = bound.iter().filter_map(Bound::differs).collect();
    let (count, wrong) = (wrong.len(), wrong.join("\n"));
    assert!(wrong.is_empty(), "{count} differ:\n{wrong}");
    let taken: Vec<&Bound> = bound.iter().filter(|bound| bound.taken.is_some()).collect();
    let refused = bound.len() - taken.len();
    assert!(
        taken.len() > 1_000 && refused > 200,
        "{} are taken, {refused} are not",
        taken.len()
    );
    for part in taken.chunks(100) {
        back(&world, part);
    }
}

/// What the recording shows of a Bind.
fn shown(line: &str) -> Option<String> {
    let frame: Value = serde_json::from_str(line).expect("a line is JSON");
    (frame["kind"] == "bind").then(|| {
        let shown = frame["parameters"][0]["shown"].as_str();
        shown.expect("it is in binary").to_owned()
    })
}

/// Values and arrays of every type.
fn made_up(world: &World) -> Vec<Bound> {
    let names: Vec<&str> = TYPES.split_whitespace().collect();
    let known = world.sql(&format!(
        "select oid, typname, typarray, typsend from pg_type \
         where typname in ('{}') and typnamespace = 'pg_catalog'::regnamespace",
        names.join("', '")
    ));
    let (mut dice, mut all) = (Dice::new(), Vec::new());
    for line in known.lines() {
        let [oid, name, array, send] = line.split('|').collect::<Vec<_>>()[..] else {
            panic!("a type is four columns: {line}")
        };
        let number = |text: &str| text.parse().expect("a number");
        let oid: u32 = number(oid);
        let mut made = |bytes, (oid, title, send): (u32, String, &str)| {
            all.push(Bound {
                oid,
                name: name.to_owned(),
                title,
                send: send.to_owned(),
                bytes,
                taken: None,
                shown: String::new(),
            });
        };
        for _ in 0..VALUES {
            made(dice.value(name), (oid, format!("\"{name}\""), send));
        }
        for _ in 0..ARRAYS {
            let array = (number(array), format!("\"{name}\"[]"), "array_send");
            made(dice.array(name, oid), array);
        }
    }
    assert_eq!(all.len(), names.len().saturating_mul(VALUES + ARRAYS));
    all
}

/// Binds values of one type. Of an array's the server is told, of others it tells.
async fn bind(client: &mut PgClient, values: &mut [Bound]) {
    let Some(first) = values.first() else { return };
    let name = format!("of {}", first.oid);
    let sql = format!("select encode({}($1), 'hex'), $1", first.send);
    let types = if first.send == "array_send" {
        [&1_u16.to_be_bytes()[..], &first.oid.to_be_bytes()].concat()
    } else {
        0_u16.to_be_bytes().to_vec()
    };
    let parse = [name.as_bytes(), b"\0", sql.as_bytes(), b"\0", &types].concat();
    let describe = [b"S", name.as_bytes(), b"\0"].concat();
    let asked = [message(b'P', &parse), message(b'D', &describe), sync()].concat();
    client.send(&asked).await.expect("it is sent");
    let told = client.until_ready().await.expect("it is answered");
    let failed = told.iter().find(|message| message.kind == b'E');
    assert_eq!(failed, None, "{sql}");
    let sent: Vec<Vec<u8>> = values.iter().map(|value| bound_to(&name, value)).collect();
    client.send(&sent.concat()).await.expect("it is sent");
    for value in values {
        let told = client.until_ready().await.expect("it is answered");
        value.taken = told.iter().find(|message| message.kind == b'D').map(row);
    }
}

/// Runs the statement of this name with one value.
fn bound_to(name: &str, value: &Bound) -> Vec<u8> {
    let length = u32::try_from(value.bytes.len()).expect("it is short");
    // No portal's name; one format, binary; one value; results as text.
    let bind = [
        b"\0",
        name.as_bytes(),
        b"\0\0\x01\0\x01\0\x01",
        &length.to_be_bytes(),
        &value.bytes,
        b"\0\0",
    ];
    [message(b'B', &bind.concat()), execute("", 0), sync()].concat()
}

/// The two columns of a row.
fn row(message: &Message) -> [String; 2] {
    let mut rest = message.body.get(2..).unwrap_or_default();
    [(); 2].map(|()| {
        let (length, behind) = rest.split_first_chunk().expect("a length");
        let length = usize::try_from(u32::from_be_bytes(*length)).expect("it is short");
        let (text, behind) = behind.split_at(length);
        rest = behind;
        String::from_utf8(text.to_vec()).expect("UTF-8")
    })
}

impl Bound {
    /// Says so where what is shown is not what the server says.
    fn differs(&self) -> Option<String> {
        let hex = policies::hex(&self.bytes);
        let want = match &self.taken {
            // The same number may have other digits: it is cast back.
            Some(_) if self.name.starts_with("float") => return None,
            // SQL's word, in an array it is a letter.
            Some([_, text]) if self.title == "\"bool\"" => (text == "t").to_string(),
            Some([_, text]) => text.clone(),
            None if TEXTS.contains(&self.name.as_str()) => return None,
            None => format!("\\x{hex}"),
        };
        let quoted = self.shown.strip_prefix('\'');
        let said = match quoted.and_then(|shown| shown.strip_suffix('\'')) {
            Some(quoted) => quoted.replace("''", "'"),
            None => self.shown.clone(),
        };
        let title = &self.title;
        (said != want).then(|| format!("{title} {hex}: {said} is shown, {want} it is"))
    }
}

/// Pastes back what is shown.
fn back(world: &World, values: &[&Bound]) {
    let cast = |value: &&Bound| {
        let (send, shown, title) = (&value.send, &value.shown, &value.title);
        format!("('=' || encode({send}(({shown})::{title}), 'hex'))")
    };
    let each: Vec<String> = values.iter().map(cast).collect();
    let told = world.sql(&format!(
        "set timezone = 'UTC'; values {}",
        each.join(",\n")
    ));
    let told: Vec<&str> = told.lines().collect();
    assert_eq!(told.len(), values.len(), "{told:?}");
    for (value, told) in values.iter().zip(told) {
        let [sent, text] = value.taken.as_ref().expect("it was taken");
        let (title, shown) = (&value.title, &value.shown);
        let told = told.strip_prefix('=');
        assert_eq!(told, Some(sent.as_str()), "{title}: {shown} for {text}");
    }
}
