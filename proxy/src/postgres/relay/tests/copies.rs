//! What copies carry: how much, and its digest, whatever ends them.

use aws_lc_rs::digest;
use policies::hex;

use super::seconds::ready;
use super::*;

const TEXT: &[u8] = b"\0\0\0";
const BINARY: &[u8] = b"\x01\0\0";

/// As it is recorded.
fn carried(action: &str, statement: u64, how: &str, data: &[u8], detail: &str) -> String {
    let digest = digest::digest(&digest::SHA256, data);
    let (length, digest) = (data.len(), hex(digest.as_ref()));
    format!("{statement} {action} {how} {length} {digest} {detail}")
}

fn data(bytes: &[u8]) -> Vec<u8> {
    framed(b'd', bytes)
}

fn tag(count: usize) -> Vec<u8> {
    framed(b'C', format!("COPY {count}\0").as_bytes())
}

/// A client and a target that say, in turn, what the other gets as it is.
async fn turns(stage: &mut Stage, said: &[(bool, Vec<u8>)], size: usize) -> Option<Closed> {
    let ((), closed) = stage
        .play(async |client, target| {
            for (from_client, bytes) in said {
                let (from, to) = if *from_client {
                    (&mut *client, &mut *target)
                } else {
                    (&mut *target, &mut *client)
                };
                for part in bytes.chunks(size) {
                    from.write_all(part).await.unwrap();
                    tokio::task::yield_now().await;
                }
                assert_eq!(&read(to, bytes.len()).await, bytes);
            }
        })
        .await;
    closed
}

fn told(stage: &Stage) -> Vec<String> {
    let all = stage.recorded().into_iter();
    all.filter(|one| !one.starts_with("ahead ") && !one.contains(" Simple "))
        .collect()
}

#[tokio::test]
async fn a_copy_is_told_by_its_digest_before_its_end_passes_however_it_is_cut() {
    let (one, two) = (b"1\ta\n2\tb\n".as_slice(), [7_u8; 3_000].as_slice());
    for size in [1, 2, 7, 100_000] {
        let mut stage = Stage::new();
        let out = [
            framed(b'H', TEXT),
            data(&one[..3]),
            data(&one[3..]),
            framed(b'c', b""),
            tag(2),
            framed(b'H', BINARY),
            data(two),
            framed(b'c', b""),
            tag(9),
        ];
        let said = [
            (
                true,
                query("copy a to stdout; copy b to stdout; copy c from stdin"),
            ),
            (false, [out.concat(), framed(b'G', TEXT)].concat()),
            (
                true,
                [data(one), data(b""), data(b"3"), framed(b'c', b"")].concat(),
            ),
            (false, [tag(3), ready()].concat()),
        ];
        assert!(turns(&mut stage, &said, size).await.is_none());
        let input = [one, b"3"].concat();
        assert_eq!(
            told(&stage),
            [
                carried("copy-out", 1, "Done", one, "text lines=2"),
                carried("copy-out", 1, "Done", two, "binary messages=1"),
                "1 -> COPY 2 2".to_owned(),
                carried("copy-in", 1, "Done", &input, "text lines=2"),
                "1 -> COPY 9 9".to_owned(),
                "1 -> COPY 3 3".to_owned(),
                "note batch".to_owned(),
            ]
        );
    }
}

/// The digest stands in the recording before the target hears that this was all.
#[tokio::test]
async fn the_data_of_a_copy_is_told_before_the_target_acts_on_it() {
    let mut stage = Stage::new();
    let batch = [parse("", "copy a from stdin"), bind("", &[]), execute()].concat();
    let begins = [framed(b'1', b""), framed(b'2', b""), framed(b'G', TEXT)].concat();
    let said = [
        (true, [batch, framed(b'H', b"")].concat()),
        (false, begins),
        (true, [data(b"x\n"), framed(b'c', b""), sync()].concat()),
    ];
    assert!(turns(&mut stage, &said, 100_000).await.is_none());
    let want = carried("copy-in", 3, "Done", b"x\n", "text lines=1");
    assert_eq!(told(&stage).last(), Some(&want));
}

/// A target that takes data says nothing of a copy the other way: what the client sends would be told no more.
#[tokio::test]
async fn a_target_cannot_have_data_that_it_takes_told_as_another_copy() {
    for says in [data(b"x"), framed(b'H', TEXT), framed(b'G', TEXT)] {
        let mut stage = Stage::new();
        let ((), closed) = stage
            .play(async |client, target| {
                client.write_all(&query("copy a from stdin")).await.unwrap();
                read(target, query("copy a from stdin").len()).await;
                target.write_all(&framed(b'G', TEXT)).await.unwrap();
                read(client, 8).await;
                client.write_all(&data(b"1\n")).await.unwrap();
                read(target, data(b"1\n").len()).await;
                target.write_all(&says).await.unwrap();
                // Nothing of it comes through.
                let passed = timeout(Duration::from_millis(50), client.read_u8()).await;
                assert!(passed.is_err(), "{passed:?}");
            })
            .await;
        assert!(matches!(closed, Some(Closed::Violation(_))), "{closed:?}");
        let want = carried("copy-in", 1, "Unanswered", b"1\n", "text lines=1");
        assert!(told(&stage).contains(&want), "{:?}", told(&stage));
    }
}

#[tokio::test]
async fn a_copy_that_is_given_up_is_told_as_far_as_it_came() {
    let error = framed(b'E', b"SERROR\0VERROR\0C57014\0Mgiven up\0\0");
    let begins = [
        (true, query("copy a from stdin")),
        (false, framed(b'G', TEXT)),
        (true, data(b"1\n")),
    ];
    let want = |error: &str| {
        [
            carried("copy-in", 1, "Failed", b"1\n", "text lines=1"),
            format!("1 -> {error} 0"),
        ]
    };
    // By the client.
    let mut stage = Stage::new();
    let ends = [
        (true, framed(b'f', b"enough\0")),
        (false, [error.clone(), ready()].concat()),
    ];
    turns(
        &mut stage,
        &[begins.to_vec(), ends.to_vec()].concat(),
        9_000,
    )
    .await;
    let [copy, outcome] = want("57014");
    assert_eq!(told(&stage), [copy, "note copy-fail".to_owned(), outcome]);
    let gave_up = ["the client gave up what it copied for #1: enough"];
    assert_eq!(*stage.memory.notes.borrow(), gave_up);
    // By the target: what the client had on its way, nobody reads.
    let mut stage = Stage::new();
    let whole = data(b"later\n");
    let (half, rest) = whole.split_at(6);
    let ends = [
        (true, half.to_vec()),
        (false, error.clone()),
        (true, rest.to_vec()),
        (false, ready()),
    ];
    turns(
        &mut stage,
        &[begins.to_vec(), ends.to_vec()].concat(),
        9_000,
    )
    .await;
    let told = told(&stage);
    assert_eq!(
        told[0],
        carried("copy-in", 1, "Failed", b"1\nl", "text lines=1")
    );
    assert_eq!(told.len(), 2);
    // By the target, of what it sends.
    let mut stage = Stage::new();
    let out = [framed(b'H', TEXT), data(b"1\n"), error, ready()].concat();
    turns(
        &mut stage,
        &[(true, query("copy a to stdout")), (false, out)],
        9_000,
    )
    .await;
    let want = carried("copy-out", 1, "Failed", b"1\n", "text lines=1");
    assert_eq!(self::told(&stage)[0], want);
}

#[tokio::test]
async fn a_copy_in_the_middle_of_which_the_session_ends_is_told_as_broken_off() {
    let mut stage = Stage::new();
    let begins = [framed(b'H', TEXT), data(b"1\n"), data(b"22")[..6].to_vec()].concat();
    let said = [(true, query("copy a to stdout")), (false, begins)];
    turns(&mut stage, &said, 9_000).await;
    stage.tap.settle(&stage.memory).unwrap();
    stage.tap.settle(&stage.memory).unwrap();
    assert_eq!(
        told(&stage),
        [
            carried("copy-out", 1, "Unanswered", b"1\n2", "text lines=1"),
            "1 ->  1".to_owned()
        ]
    );
}

#[tokio::test]
async fn copied_data_that_no_copy_reads_is_no_copy() {
    let mut stage = Stage::new();
    let ((), closed) = stage
        .play(async |client, target| {
            client.write_all(&data(b"stray\n")).await.unwrap();
            client.write_all(&query("copy a from stdin")).await.unwrap();
            read(target, query("copy a from stdin").len()).await;
            target.write_all(&framed(b'G', TEXT)).await.unwrap();
            read(client, 8).await;
            let own = [data(b"own\n"), framed(b'c', b""), data(b"stray\n")].concat();
            client.write_all(&own).await.unwrap();
            read(target, data(b"own\n").len() + 5).await;
            target.write_all(&[tag(1), ready()].concat()).await.unwrap();
            read(client, tag(1).len() + 6).await;
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    assert_eq!(
        told(&stage)[0],
        carried("copy-in", 1, "Done", b"own\n", "text lines=1")
    );
    assert_eq!(told(&stage).len(), 2);
}

/// The client cuts its data into messages as it likes, and what a copy that failed was sent was not taken.
#[tokio::test]
async fn the_rows_of_a_copy_are_not_the_messages_of_the_client() {
    for (answer, want) in [
        (tag(2), "1 -> COPY 2 2"),
        (
            framed(b'E', b"SERROR\0VERROR\0C23505\0Mtwice\0\0"),
            "1 -> 23505 0",
        ),
    ] {
        let mut stage = Stage::new();
        let ends = [data(b"1\n2"), data(b"\n"), data(b""), framed(b'c', b"")];
        let said = [
            (true, query("copy a from stdin")),
            (false, framed(b'G', TEXT)),
            (true, ends.concat()),
            (false, [answer, ready()].concat()),
        ];
        assert!(turns(&mut stage, &said, 9_000).await.is_none());
        assert_eq!(told(&stage).last().map(String::as_str), Some(want));
        assert_eq!(stage.memory.copied.get(), 4);
    }
}

/// The digest is of what the client got, wherever the cut comes.
#[tokio::test]
async fn of_a_copy_that_is_cut_off_what_passed_is_told() {
    for (told_as, (two, three)) in [
        (TEXT, ("text lines=2", "text lines=3")),
        (BINARY, ("binary messages=2", "binary messages=3")),
    ] {
        what_passed_is_told(told_as, two, three).await;
    }
}

async fn what_passed_is_told(told_as: &[u8], two: &str, three: &str) {
    let line = b"0123456789\n".as_slice();
    let begun = [framed(b'H', told_as), data(line), data(line)].concat();
    let rest = [
        data(line),
        framed(b'c', b""),
        tag(3),
        framed(b'H', BINARY),
        data(b"more"),
        framed(b'c', b""),
        tag(1),
        ready(),
    ]
    .concat();
    // How much of the third message comes before the cut: it counts as it begins.
    for begins in [0, 5, 9, 15] {
        let mut stage = Stage::new();
        stage.memory.rows_max = Some(if begins == 0 { 2 } else { 3 });
        let ((), closed) = stage
            .play(async |client, target| {
                client.write_all(&query("copy a to stdout")).await.unwrap();
                read(target, query("copy a to stdout").len()).await;
                let first = [begun.clone(), rest[..begins].to_vec()].concat();
                target.write_all(&first).await.unwrap();
                read(client, first.len()).await;
                // Where there is room for the third, the fourth is too much, and comes with its end.
                target.write_all(&rest[begins..]).await.unwrap();
                let third = if begins == 0 {
                    0
                } else {
                    data(line).len().saturating_sub(begins)
                };
                read(client, third).await;
                assert_eq!(super::told(client, 'E').await, "53400");
                assert_eq!(read(client, 6).await, ready());
            })
            .await;
        assert!(closed.is_none(), "{closed:?}");
        let got = line.repeat(if begins == 0 { 2 } else { 3 });
        let lines = if begins == 0 { two } else { three };
        let copies: Vec<_> = told(&stage)
            .into_iter()
            .filter(|one| one.contains("copy-"))
            .collect();
        assert_eq!(
            copies,
            [
                carried("copy-out", 1, "Refused", &got, lines),
                carried("copy-out", 1, "Refused", b"", "binary messages=0"),
            ],
            "{begins}"
        );
    }
}

/// The server reads up to the NUL, and what is behind would be in no recording.
#[tokio::test]
async fn nothing_stands_behind_the_words_that_a_copy_is_given_up_with() {
    let mut stage = Stage::new();
    let ((), closed) = stage
        .play(async |client, target| {
            client.write_all(&query("copy a from stdin")).await.unwrap();
            read(target, query("copy a from stdin").len()).await;
            target.write_all(&framed(b'G', TEXT)).await.unwrap();
            read(client, 8).await;
            let said = framed(b'f', b"enough\0more\0");
            client.write_all(&said).await.unwrap();
            let passed = timeout(Duration::from_millis(50), target.read_u8()).await;
            assert!(passed.is_err(), "{passed:?}");
        })
        .await;
    assert!(matches!(closed, Some(Closed::Violation(_))), "{closed:?}");
}

/// Of a copy, of types, and of a call of a function, which never passes.
#[tokio::test]
async fn what_nobody_asked_for_does_not_reach_the_client() {
    let types = framed(b't', &[0, 1, 0, 0, 0, 23]);
    let said = [
        framed(b'H', TEXT),
        framed(b'c', b""),
        types,
        framed(b'V', &[0xff; 4]),
    ];
    for says in said {
        let mut stage = Stage::new();
        let ((), closed) = stage
            .play(async |client, target| {
                target.write_all(&says).await.unwrap();
                let passed = timeout(Duration::from_millis(50), client.read_u8()).await;
                assert!(passed.is_err(), "{passed:?}");
            })
            .await;
        assert!(matches!(closed, Some(Closed::Violation(_))), "{says:?}");
    }
}
