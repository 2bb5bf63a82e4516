//! Sessions of one principal whose texts take long to be asked about.

use std::rc::Rc;

use tokio::task::{LocalSet, yield_now};

use super::*;
use crate::session::share::Share;

/// Plays a session that sends `text` and is answered, and says how many questions there were.
async fn sends(text: Vec<u8>, share: Arc<Share>, asked: Rc<Cell<usize>>) {
    let mut stage = Stage::new();
    stage.memory.forbidden = Some(SqlKind::Delete);
    stage.memory.questions = asked;
    stage.memory.share = share;
    let ((), closed) = stage
        .play(async |client, target| {
            client.write_all(&text).await.unwrap();
            assert_eq!(read(target, text.len()).await, text);
            target.write_all(&answer()).await.unwrap();
            assert_eq!(read(client, answer().len()).await, answer());
        })
        .await;
    assert!(closed.is_none(), "{closed:?}");
}

/// Somebody else on the thread waits for the questions of about one turn, however many sessions ask.
#[tokio::test]
async fn many_sessions_of_one_principal_hold_up_others_no_longer_than_one() {
    let tables: Vec<String> = (0..300).map(|number| format!("table t{number};")).collect();
    let text = tables.concat();
    let (share, asked) = (Arc::<Share>::default(), Rc::new(Cell::new(0)));
    let tasks = LocalSet::new();
    for _session in 0..30 {
        tasks.spawn_local(sends(query(&text), Arc::clone(&share), Rc::clone(&asked)));
    }
    // Somebody else on the same thread.
    let watch = tasks.spawn_local(async move {
        let (mut most, mut all) = (0, 0);
        while all < 30 * 300 {
            yield_now().await;
            let since = asked.take();
            (most, all) = (most.max(since), all + since);
        }
        (most, all)
    });
    let watch = timeout(Duration::from_secs(20), tasks.run_until(watch));
    let (most, all) = watch.await.unwrap().unwrap();
    assert_eq!(all, 30 * 300, "each is asked about once");
    // The one that is over the limit, and one more that began before it.
    assert!(most <= 40, "{most} questions in one turn");
    timeout(Duration::from_secs(20), tasks).await.unwrap();
}
