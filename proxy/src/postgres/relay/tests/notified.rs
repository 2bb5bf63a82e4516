//! What others tell a session.

use super::*;

#[tokio::test]
async fn what_others_tell_a_session_is_counted() {
    let mut stage = Stage::new();
    let told = framed(b'A', b"\0\0\0\x01c\0hello\0");
    let ((), _closed) = stage
        .play(async |client, target| {
            for _each in 0..3 {
                target.write_all(&told).await.unwrap();
            }
            assert_eq!(read(client, 3 * told.len()).await, told.repeat(3));
        })
        .await;
    stage.tap.settle(&stage.memory).unwrap();
    assert_eq!(stage.recorded(), ["note notifications"]);
}
