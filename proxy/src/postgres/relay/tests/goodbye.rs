//! What a client sends behind its goodbye.

use super::*;

/// The target reads nothing behind a goodbye: what stands there was never sent to it, nor asked about.
#[tokio::test]
async fn what_stands_behind_a_goodbye_goes_nowhere() {
    for forbidden in [None, Some(SqlKind::Ddl)] {
        let mut stage = Stage::new();
        stage.memory.forbidden = forbidden;
        let said = [
            query("select 1"),
            framed(b'X', b""),
            query("drop table payroll"),
            parse("", "select 2"),
            framed(b'X', b""),
            query("select 3")[..9].to_vec(),
        ];
        let passes = [query("select 1"), framed(b'X', b"")].concat();
        let ((), closed) = stage
            .play(async |client, target| {
                client.write_all(&said.concat()).await.unwrap();
                assert_eq!(read(target, passes.len()).await, passes);
                target.shutdown().await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
            })
            .await;
        assert!(matches!(closed, Some(Closed::Complete)), "{closed:?}");
        assert_eq!(stage.recorded()[0], "1 Simple select 1");
        let recorded = stage.recorded().join("\n");
        assert!(
            !recorded.contains("payroll") && !recorded.contains("2 "),
            "{recorded}"
        );
        assert_eq!(stage.memory.to_target.get(), passes.len());
    }
}
