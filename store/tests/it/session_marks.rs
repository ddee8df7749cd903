//! The marks of sessions at brokers, on a real Redis.

use thicket_schema::Keys;
use thicket_store::redis::{BirthStore, RedisError, SessionMark, dump_keys};

use crate::support::RedisServer;

#[tokio::test]
async fn a_session_is_remembered_for_its_client_and_broker_and_stays_when_the_deployment_moves() {
    let server = RedisServer::start().await;
    let keys = Keys::default();
    let mark = |session: &str| SessionMark::new(server.client.clone(), keys.sessions(), session.to_owned());
    let at_home = mark("thicket at mqtt://home");
    assert!(!at_home.is_set().await.unwrap());
    at_home.set().await.unwrap();
    assert!(at_home.is_set().await.unwrap());
    assert!(!mark("thicket at mqtt://plant").is_set().await.unwrap());

    // The new place has another broker, which never had the session.
    let births = BirthStore::new(server.client.clone(), keys.births("thicket"));
    births.change("plant/edge@10", b"a", &[]).await.unwrap();
    let mut moved = Vec::new();
    dump_keys(&server.client, &keys, |dumps| {
        moved.extend(dumps.into_iter().map(|dump| dump.key));
        Ok::<_, RedisError>(())
    })
    .await
    .unwrap();
    assert_eq!(moved, [keys.births("thicket")]);
}
