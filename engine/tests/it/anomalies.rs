//! `thicket anomalies` and the same through HTTP.

use serde_json::{Value, json};
use thicket_schema::SensorName;
use thicket_testkit::{Config, TestEnv};

use crate::support::{json as parsed, start, stderr, stdout};

const TOKEN: &str = "0123456789abcdef";

const PEAK: &str = "'2026-11-22 10:00:05Z', 40, 0.9, 7";

fn config() -> Config {
    TestEnv::config()
}

/// Servers with three anomalies of two sensors.
async fn start_with_anomalies() -> TestEnv {
    let env = start(config()).await;
    for name in ["site-1/mic-7", "site-1/door"] {
        let id = SensorName::new(name).unwrap().id();
        env.execute(&format!("INSERT INTO sensors VALUES ({id}, '{name}', 1, '{{a,b}}', now())")).await;
        let causes = "'{a,b}', '{0.25,0.75}', false, '{1,71}', '{1,44}', '{0,40}', '{2,48}'";
        env.execute(&format!(
            "INSERT INTO anomalies VALUES ({id}, '2026-11-22 10:00:00.5Z', '2026-11-22 10:00:07Z', {PEAK}, {causes})"
        ))
        .await;
        if name == "site-1/mic-7" {
            env.execute(&format!(
                "INSERT INTO anomalies VALUES ({id}, '2026-11-22 12:00:00Z', NULL, {PEAK}, {causes})"
            ))
            .await;
        }
    }
    env
}

#[tokio::test(flavor = "multi_thread")]
async fn anomalies_are_listed_labelled_and_unlabelled() {
    let env = start_with_anomalies().await;
    let list =
        |arguments: &[&str]| parsed(&env.thicket(&[&["anomalies", "list", "--json"], arguments].concat()));
    let all = list(&[]);
    assert_eq!(all.as_array().unwrap().len(), 3);
    assert_eq!(all[0]["started"], "2026-11-22T12:00:00Z");
    assert_eq!(
        all[0]["causes"][0],
        json!({
            "field": "b", "share": 0.75, "actual": 71.0, "expected": 44.0, "low": 40.0, "high": 48.0,
            "counter": false,
            "repeated": 0,
            "away": 0
        })
    );
    assert_eq!(list(&["--sensor", "site-1/mic*"]).as_array().unwrap().len(), 2);
    assert_eq!(list(&["--since", "2026-11-22T11:00:00Z"]).as_array().unwrap().len(), 1);
    assert_eq!(list(&["--limit", "1"]).as_array().unwrap().len(), 1);

    let started = "2026-11-22T10:00:00.500Z";
    let mut label = vec!["anomalies", "label", "site-1/mic-7", started, "false"];
    label.extend(["--note", "a festival", "--author", "ada", "--json"]);
    let labelled = env.thicket(&label);
    assert_eq!(parsed(&labelled)["label"]["label"], "false");
    assert_eq!(env.texts("SELECT label, note, author FROM labels").await, ["(false,\"a festival\",ada)"]);
    assert_eq!(list(&["--unlabelled"]).as_array().unwrap().len(), 2);
    let text = env.thicket(&["anomalies", "list", "--sensor", "site-1/mic-7"]);
    let text = stdout(&text);
    assert!(text.contains("75 %  b was 71, expected 40 to 48"), "{text}");
    assert!(text.contains("[false by ada: a festival]"), "{text}");

    let cleared = env.thicket(&["anomalies", "label", "site-1/mic-7", started, "--clear"]);
    assert!(cleared.status.success());
    assert_eq!(env.number("SELECT count(*) FROM labels").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anomaly_that_does_not_exist_is_an_error_that_names_the_nearest() {
    let env = start_with_anomalies().await;
    let refused = |sensor: &str, started: &str| {
        let output = env.thicket(&["anomalies", "label", sensor, started, "true"]);
        (output.status.code(), stderr(&output))
    };
    let (code, text) = refused("site-1/mic-7", "2026-11-22T10:00:00Z");
    assert_eq!(code, Some(1));
    assert!(text.contains("the nearest began at 2026-11-22T10:00:00.500Z, 2026-11-22T12:00:00Z"), "{text}");
    let (code, text) = refused("site-1/mic-8", "2026-11-22T10:00:00Z");
    assert_eq!(code, Some(1));
    assert!(text.contains("did you mean site-1/mic-7"), "{text}");
    assert_eq!(refused("site-1/mic-7", "yesterday").0, Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_through_http_with_errors_as_json() {
    let mut env = start_with_anomalies().await;
    let file = env.path().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
    let config = env.base().set("http.operate_token_file", file.to_str().unwrap());
    let engine = env.engine_with(&config).await;
    let (status, list) = engine.api("GET", "/api/anomalies?sensor=site-1/*&limit=2", None).await;
    assert_eq!((status, list.as_array().unwrap().len()), (200, 2));

    let label = json!({"sensor": "site-1/door", "started": "2026-11-22T11:00:00.5+01:00", "label": "maintenance", "note": "new hinge"});
    let (status, anomaly) = engine.api_with(Some(TOKEN), "POST", "/api/labels", Some(&label)).await;
    assert_eq!((status, &anomaly["label"]["label"]), (200, &json!("maintenance")));
    let (_, unlabelled) = engine.api("GET", "/api/anomalies?unlabelled=true", None).await;
    assert_eq!(unlabelled.as_array().unwrap().len(), 2);
    let clear = "/api/labels?sensor=site-1/door&started=2026-11-22T10:00:00.5Z";
    let (status, anomaly) = engine.api_with(Some(TOKEN), "DELETE", clear, None).await;
    assert_eq!((status, &anomaly["label"]), (200, &Value::Null));

    let with = |key: &str, value: &str| {
        let mut body = label.clone();
        body[key] = json!(value);
        body
    };
    let wrong = [
        ("POST", "/api/labels", Some(with("label", "perhaps")), 400),
        ("POST", "/api/labels", Some(with("started", "noon")), 400),
        ("POST", "/api/labels", Some(with("extra", "1")), 400),
        ("POST", "/api/labels", Some(with("started", "2026-11-22T09:00:00Z")), 404),
        ("POST", "/api/labels", Some(with("sensor", "site-1/dor")), 404),
        ("POST", "/api/labels", Some(with("note", "a\0b")), 400),
        ("POST", "/api/labels", Some(with("author", "a\0b")), 400),
        ("POST", "/api/labels", Some(with("sensor", "a\0b")), 400),
        ("GET", "/api/anomalies?sensor=a%00b", None, 400),
        ("GET", "/api/anomalies?limit=0", None, 400),
        ("GET", "/api/anomalies?limit=x", None, 400),
        ("GET", "/api/anomalies?since=noon", None, 400),
        ("GET", "/api/anomalys", None, 404),
    ];
    for (method, path, body, expected) in wrong {
        let (status, answer) = engine.api_with(Some(TOKEN), method, path, body.as_ref()).await;
        assert_eq!(status, expected, "{method} {path} {body:?}: {answer}");
        assert!(answer["error"].is_string(), "{answer}");
        let names_limit = answer["error"].as_str().unwrap().starts_with("limit is ");
        assert_eq!(path.contains("limit="), names_limit, "{answer}");
        // A search for similar names takes long with many sensors.
        assert!(!answer["error"].as_str().unwrap().contains("did you mean"), "{answer}");
    }

    env.servers.postgres.stop().unwrap();
    let (status, answer) = engine.api("GET", "/api/anomalies", None).await;
    assert_eq!(status, 503, "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("postgresql"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_view_for_dashboards_and_the_command_give_the_same_reason() {
    let reasons = [
        ("71, 40, 48, false, 0, 0", "f was 71, expected 40 to 48"),
        ("71, 40, 48, true, 0, 0", "f grew by 71 a second, expected 40 to 48"),
        ("-2, 40, 48, true, 0, 0", "f fell by 2 a second, expected to grow by 40 to 48"),
        ("21.3, 18, 23, false, 61, 0", "f stayed at 21.3 for 61 readings, far longer than before"),
        ("0, 40, 48, true, 61, 0", "f did not grow for 61 readings, far longer than before"),
        ("5, 40, 48, true, 61, 0", "f grew by 5 a second for 61 readings, far longer than before"),
        ("5, 0.5, 0.5, false, 0, 245", "f has not been at 0.5 for 245 readings, far longer than before"),
        ("5, 0, 0, true, 0, 245", "f has grown without a pause for 245 readings, far longer than before"),
        ("5, 2, 2, true, 0, 245", "f has not grown by 2 a second for 245 readings, far longer than before"),
    ];
    let env = start(config()).await;
    let id = SensorName::new("a").unwrap().id();
    env.execute(&format!("INSERT INTO sensors VALUES ({id}, 'a', 1, '{{f}}', now())")).await;
    for (hour, (values, _)) in reasons.iter().enumerate() {
        env.execute(&format!(
            "INSERT INTO anomalies (sensor, started, peak_at, peak_score, peak_grade, readings, fields, contributions,
                                    actual, expected, low, high, counters, repeated, away)
             SELECT {id}, at, at, 9, 0.9, 3, '{{f}}', '{{1}}',
                    ARRAY[actual], ARRAY[low], ARRAY[low], ARRAY[high], ARRAY[counter], ARRAY[repeated],
                    ARRAY[away]
             FROM (VALUES ('2026-11-22 {hour:02}:00Z'::timestamptz, {values}))
                  AS v (at, actual, low, high, counter, repeated, away)"
        ))
        .await;
    }
    let expected = reasons.map(|(_, reason)| reason);
    let shown = env.texts("SELECT why FROM anomaly_events ORDER BY started").await;
    assert_eq!(shown, expected.map(|reason| format!("(\"{reason}\")")));
    let listed = env.thicket(&["anomalies", "list"]);
    let listed = stdout(&listed);
    for reason in expected {
        assert!(listed.contains(reason), "{reason}: {listed}");
    }
    let repeated = "SELECT repeated::text FROM anomaly_causes ORDER BY started";
    let zeros = ["(0)"; 3];
    assert_eq!(env.texts(repeated).await, [zeros, ["(61)"; 3], zeros].concat());
    let away = "SELECT away::text FROM anomaly_causes ORDER BY started";
    assert_eq!(env.texts(away).await, [zeros, zeros, ["(245)"; 3]].concat());
}
