//! What we say ourselves, while the target is in the middle of a message.

use super::memory::asked;
use super::seconds::guarded;
use super::*;

#[tokio::test]
async fn that_a_statement_waits_is_told_between_two_messages_of_the_target() {
    let mut stage = guarded([]);
    stage.memory.tells_later = true;
    let told_of = framed(b'A', &[b'x'; 100]);
    let (client_side, target_side) = (&mut stage.client_side, &mut stage.target_side);
    let (client, target) = (&mut stage.client, &mut stage.target);
    let (memory, gate) = (&stage.memory, Gate::new(Arc::default()));
    let (up, down) = (&mut stage.up, &mut stage.down);
    let relay = Relay::new(
        (client_side, target_side),
        (up, down),
        &mut stage.tap,
        gate,
        memory,
    );
    let script = async {
        client.write_all(&query("delete from t")).await.unwrap();
        while memory.telling.borrow().is_none() {
            tokio::task::yield_now().await;
        }
        target.write_all(&told_of[..50]).await.unwrap();
        assert_eq!(read(client, 50).await, told_of[..50]);
        let telling = memory.telling.borrow().clone().unwrap();
        telling.try_send(asked()).unwrap();
        for _turn in 0..8 {
            tokio::task::yield_now().await;
        }
        target.write_all(&told_of[50..]).await.unwrap();
        assert_eq!(read(client, 55).await, told_of[50..]);
        assert_eq!(told(client, 'N').await, "01000");
    };
    tokio::select! {
        closed = relay.run() => panic!("{closed:?}"),
        done = timeout(Duration::from_secs(20), script) => done.unwrap(),
    }
}
