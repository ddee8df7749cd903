//! The Sparkplug births of a subscription, on a real Redis.

use thicket_schema::Keys;
use thicket_store::redis::BirthStore;

use crate::support::RedisServer;

fn names(births: &[(String, bytes::Bytes)]) -> Vec<&str> {
    births.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn births_are_added_and_deleted_in_one_step_and_kept_for_each_subscription() {
    let server = RedisServer::start().await;
    let keys = Keys::default();
    let store = BirthStore::new(server.client.clone(), keys.births("thicket"));
    assert!(store.load().await.unwrap().is_empty());

    store.change("plant/edge@10", b"\x01\x00\xff", &[]).await.unwrap();
    store.change("plant/edge/press@10", b"b", &[]).await.unwrap();
    let births = store.load().await.unwrap();
    assert_eq!(names(&births), ["plant/edge/press@10", "plant/edge@10"]);
    assert_eq!(births[1].1.as_ref(), b"\x01\x00\xff");

    let forgotten = ["plant/edge@10".to_owned(), "plant/edge@11".to_owned()];
    store.change("plant/edge@20", b"c", &forgotten).await.unwrap();
    assert_eq!(names(&store.load().await.unwrap()), ["plant/edge/press@10", "plant/edge@20"]);
    // The same change again, as after a lost reply.
    store.change("plant/edge@20", b"c", &forgotten).await.unwrap();
    assert_eq!(store.load().await.unwrap().len(), 2);

    let other = BirthStore::new(server.client.clone(), keys.births("thicket-2"));
    assert!(other.load().await.unwrap().is_empty());
}
