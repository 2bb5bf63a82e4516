//! Messages that are longer than is kept of them, or than comes at once.

use super::*;
use crate::postgres::wire::scan::KEPT_MAX;

#[tokio::test]
async fn who_waits_keeps_no_buffer_of_what_came_in_parts() {
    let mut stage = Stage::new();
    stage.memory.forbidden = Some(SqlKind::Delete);
    let long = query(&format!("select '{}'", "x".repeat(20_000)));
    let ((), closed) = stage
        .play(async |client, target| {
            for part in long.chunks(12_000) {
                client.write_all(part).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(read(target, long.len()).await, long);
            tokio::time::sleep(Duration::from_millis(5)).await;
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    assert!(stage.up.unread.capacity() <= 8);
}

#[tokio::test]
async fn an_error_that_is_longer_than_is_kept_is_an_error_like_any_other() {
    let mut stage = Stage::new();
    let said = [
        b"SERROR\0VERROR\0C22P02\0M",
        &*vec![b'x'; KEPT_MAX + 100],
        b"\0\0",
    ]
    .concat();
    let long = [framed(b'E', &said), framed(b'Z', b"I")].concat();
    let ((), closed) = stage
        .play(async |client, target| {
            client.write_all(&query("select 1")).await.unwrap();
            read(target, query("select 1").len()).await;
            let (came, ()) = tokio::join!(read(client, long.len()), async {
                target.write_all(&long).await.unwrap();
            });
            assert!(came == long);
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
    assert_eq!(stage.recorded().last().unwrap(), "1 -> 22P02 0");
}
