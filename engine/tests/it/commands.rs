//! The commands beside `run`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod common;

use common::Bed;

const SMALL: &str = "[queue]\npartitions = 4\n";

fn stdout(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reaches_every_server_and_says_how_to_mend_what_fails() {
    let mut bed = Bed::new().await;
    let well = bed.thicket(&["check"], SMALL);
    assert!(well.status.success(), "{}", stdout(&well));
    assert_eq!(stdout(&well).matches("ok ").count(), 4, "{}", stdout(&well));

    bed.servers.mosquitto.stop().unwrap();
    bed.servers.redis.stop().unwrap();
    let ill = bed.thicket(&["check"], SMALL);
    assert_eq!(ill.status.code(), Some(1));
    let text = stdout(&ill);
    assert!(
        text.contains("FAIL  redis") && text.contains("FAIL  mqtt") && text.contains("ok    postgresql"),
        "{text}"
    );
    assert!(text.contains("install-servers"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_may_lose_what_it_acknowledged_is_refused_by_check() {
    use fred::interfaces::ConfigInterface as _;
    let bed = Bed::new().await;
    let redis = thicket_actors::queue::try_connect_redis(&bed.servers.redis.url()).await.unwrap();
    let () = redis.config_set("appendfsync", "everysec").await.unwrap();
    let ill = bed.thicket(&["check"], SMALL);
    assert_eq!(ill.status.code(), Some(1));
    assert!(stdout(&ill).contains("appendfsync"), "{}", stdout(&ill));
}

#[tokio::test(flavor = "multi_thread")]
async fn status_counts_what_there_is() {
    let bed = Bed::new().await;
    let _engine = bed.engine(SMALL).await;
    let mut publisher = bed.publisher();
    for i in 0..20 {
        publisher.publish(&format!("sensors/{}", i % 4), "1").await;
    }
    publisher.publish("sensors/0", "nonsense").await;
    bed.until_accounted(21).await;
    let status = bed.thicket(&["status", "--json"], SMALL);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["partitions"].as_array().unwrap().len(), 4);
    assert_eq!(status["totals"]["delivered"], 21);
    assert_eq!(status["totals"]["scored"], 20);
    assert_eq!(status["totals"]["lag_entries"], 0);
    assert_eq!((&status["totals"]["in_flight"], &status["totals"]["stored"]), (&0.into(), &20.into()));
    assert_eq!(status["sensors"], 4);
    assert_eq!(status["dead_letters"]["malformed_json"], 1);
    assert!(stdout(&bed.thicket(&["status"], SMALL)).contains("21 delivered"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_configurations_end_with_code_2_and_the_key() {
    let bed = Bed::new().await;
    let unknown = bed.thicket(&["check"], "[queue]\npartitons = 4\n");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("partitons"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_of_partitions_is_refused() {
    let bed = Bed::new().await;
    bed.engine(SMALL).await.terminate().await;
    let refused = bed.thicket(&["run"], "[queue]\npartitions = 8\n[http]\nlisten = \"127.0.0.1:0\"\n");
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("queue.partitions is 8, but this deployment was made with 4"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_twice_is_harmless() {
    let bed = Bed::new().await;
    let again = bed.thicket(&["migrate"], "");
    assert!(again.status.success());
    assert!(stdout(&again).contains("up to date"));
}
