//! As many values as a statement can have, each of which is long when it is written out: what its recording and
//! export make of them.

use serde_json::Value;
use tests::World;
use tests::pg::{PgClient, execute, message, sync};

/// A `numeric` in ten bytes, of which SQL makes 1,181 digits.
const LONG: [u8; 10] = [0, 1, 1, 39, 0, 0, 0, 0, 0, 1];

/// The same with 208, in an array: how many there are.
fn array(count: u32) -> Vec<u8> {
    let head = [1, 0, 1700, count, 1].map(u32::to_be_bytes).concat();
    let each = [0, 0, 0, 10, 0, 1, 0, 51, 0, 0, 0, 0, 0, 1];
    let count = usize::try_from(count).expect("it is in memory");
    [head, each.repeat(count)].concat()
}

/// 4-digit groups enough for eight bytes more: so many of them are more than a recording keeps of one message.
const WIDE: [u8; 16] = [0, 4, 0, 0, 0, 0, 0, 12, 0, 1, 0, 2, 0, 3, 0, 4];

/// The longest line that one statement makes in `--jsonl`.
const LINE_MAX: usize = 8 << 20;

/// Runs a statement of these values, and hears this.
async fn bind(client: &mut PgClient, sql: &str, values: &[&[u8]], want: &str) {
    let parse = [b"many\0", sql.as_bytes(), b"\0\0\0"].concat();
    let asked = [
        message(b'C', b"Smany\0"),
        message(b'P', &parse),
        message(b'D', b"Smany\0"),
        sync(),
    ];
    client.send(&asked.concat()).await.expect("it is sent");
    let told = client.until_ready().await.expect("it is answered");
    assert!(told.iter().any(|one| one.kind == b't'), "{told:?}");
    let count = u16::try_from(values.len()).expect("no more than there can be");
    // No portal's name; one format, binary; the values; results as text.
    let mut body = [&b"\0many\0\0\x01\0\x01"[..], &count.to_be_bytes()].concat();
    for value in values {
        let length = u32::try_from(value.len()).expect("it is short");
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(value);
    }
    body.extend_from_slice(b"\0\0");
    let sent = [message(b'B', &body), execute("", 0), sync()];
    client.send(&sent.concat()).await.expect("it is sent");
    let told = client.until_ready().await.expect("it is answered");
    let row = told.iter().find(|one| one.kind == b'D');
    let row = row.unwrap_or_else(|| panic!("{told:?}"));
    assert!(row.body.ends_with(want.as_bytes()));
}

/// The same with as many as there can be, each of them this one.
async fn bind_all(client: &mut PgClient, value: &[u8]) {
    let others: Vec<String> = (2..=u16::MAX).map(|number| format!(",${number}")).collect();
    let others = others.concat();
    let sql = format!("select array_length(array[$1::numeric{others}], 1)");
    bind(client, &sql, &vec![value; 65_535], "65535").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_without_number_are_recorded_and_make_no_lines_without_end() {
    let world = World::new();
    world.grant_pg("10m");
    let mut client = world.pg_client().await;
    let each: Vec<String> = (1..=10)
        .map(|number| format!("${number}::numeric[]"))
        .collect();
    let sql = format!("select cardinality({})", each.join(" || "));
    let long = array(5_000);
    bind(&mut client, &sql, &[long.as_slice(); 10], "50000").await;
    bind_all(&mut client, &LONG).await;
    bind_all(&mut client, &WIDE).await;
    drop(client);
    let session = world.ended_sessions()[0]["id"].as_str().map(str::to_owned);
    let session = session.expect("an id");
    let exported = world.exported(&session, "--jsonl");
    let longest = exported.lines().map(str::len).max();
    assert!(
        longest.is_some_and(|longest| longest < LINE_MAX),
        "{longest:?}"
    );
    let frames: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect();
    let binds: Vec<&Value> = frames
        .iter()
        .filter(|frame| frame["kind"] == "bind")
        .collect();
    let [typed, untyped, wide] = binds[..] else {
        panic!("{} statements", binds.len());
    };
    let with = |frame: &Value, key: &str| {
        let values = frame["parameters"].as_array().expect("it has values");
        values
            .iter()
            .filter(|value| value.get(key).is_some())
            .count()
    };
    // All of their bytes are there, and of those that are not shown it is said how many they are.
    assert_eq!(with(typed, "value_base64"), 10);
    let shown = with(typed, "shown");
    assert!((2..6).contains(&shown), "{shown}");
    assert_eq!(typed["not_shown"].as_u64(), u64::try_from(10 - shown).ok());
    assert_eq!(with(untyped, "value_base64"), usize::from(u16::MAX));
    // Of what is too long for its frame, the record says how many there were.
    let kept = with(wide, "value_base64");
    assert!((50_000..65_535).contains(&kept), "{kept}");
    let note = frames.iter().find(|frame| frame["code"] == "values");
    let note = note.expect("it is noted")["text"]
        .as_str()
        .map(str::to_owned);
    let missing = format!("{} of its 65535 values", 65_535 - kept);
    assert!(
        note.as_ref().is_some_and(|note| note.contains(&missing)),
        "{note:?}"
    );
    let text = world.exported(&session, "--text");
    assert!(text.len() < 4 * LINE_MAX, "{}", text.len());
    assert!(text.contains(&missing), "the transcript says so too");
}
