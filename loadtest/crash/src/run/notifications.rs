//! What the receivers of notifications were told: a web server and the broker.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::ensure;
use thicket_testkit::receivers::{Posted, Said, retained};
use thicket_testkit::timing::POLL_INTERVAL;
use thicket_testkit::{Tables, broker_login};
use toml::{Table, Value};

use super::progress::Progress;
use super::state::CaseRun;
use crate::outcome::Told;

/// Each anomaly is a message of its own.
const SINGLE: &str = "single";
/// The anomalies of all sensors become few messages.
const SUMMARY: &str = "summary";
/// Only anomalies with at least [`LEAST_GRADE`], which [`PENDING`] knows too: about two thirds of
/// all.
const GRAVE: &str = "grave";
/// The routes to the web server.
pub(crate) const WEB_ROUTES: [&str; 3] = [SINGLE, SUMMARY, GRAVE];
/// Retained messages.
const BROKER: &str = "broker";
const LEAST_GRADE: f64 = 0.7;

/// Notifications that are not settled. Only the route with the least grade may hold an anomaly that
/// goes on. Reminders never end.
const PENDING: &str = "SELECT (SELECT count(*) FROM notifications WHERE NOT is_routed)
    + (SELECT count(*) FROM notification_deliveries d LEFT JOIN anomalies a USING (sensor, started)
       WHERE d.kind <> 'reminder' AND (d.state IN ('waiting', 'sending')
             OR d.state = 'held' AND (d.route <> 'grave' OR a.ended IS NOT NULL OR a.peak_grade >= 0.7)))";
/// What must not be in the tables once all notifications are settled.
const INCONSISTENCIES: [(&str, &str); 6] = [
    ("deliveries have failed", "SELECT count(*) FROM notification_deliveries WHERE state = 'failed'"),
    (
        "notifications have no delivery for one of the routes",
        "SELECT count(*) FROM notifications n CROSS JOIN notification_routes r
         WHERE r.route <> '' AND NOT EXISTS (
             SELECT FROM notification_deliveries d WHERE d.route = r.route AND d.sensor = n.sensor
             AND d.started = n.started AND d.kind = n.kind AND d.position = n.id)",
    ),
    (
        "deliveries are sent, but their message is not",
        "SELECT count(*) FROM notification_deliveries d LEFT JOIN notification_messages m ON m.id = d.message
         WHERE d.kind <> 'reminder' AND d.state = 'sent' AND m.state IS DISTINCT FROM 'sent'",
    ),
    (
        "messages have no delivery",
        "SELECT count(*) FROM notification_messages m
         WHERE NOT EXISTS (SELECT FROM notification_deliveries d WHERE d.message = m.id)",
    ),
    (
        "ends are announced without their begin, or the reverse",
        "SELECT count(*) FROM notification_deliveries e
         JOIN notification_deliveries o USING (route, sensor, started)
         WHERE e.kind = 'ended' AND o.kind = 'opened' AND e.state <> o.state",
    ),
    (
        "reminders are missing among those of an anomaly",
        "SELECT count(*) FROM (
             SELECT FROM notification_deliveries WHERE kind = 'reminder'
             GROUP BY route, sensor, started HAVING min(item) <> 1 OR max(item) <> count(*)) gaps",
    ),
];

impl CaseRun<'_> {
    /// Returns the routes of the case's engines.
    pub(super) fn routes(&self) -> Vec<Value> {
        if !self.case.notified {
            return Vec::new();
        }
        let url = self.environment.receiver().url();
        let hook = |name: &str, keys: &[(&str, Value)]| {
            let url: Value = format!("{url}/{name}").into();
            route(name, &[&[("url", url)], keys].concat())
        };
        let (user, password) = broker_login();
        let broker: [(&str, Value); 6] = [
            ("receiver", "mqtt".into()),
            ("url", self.workspace.addresses.mqtt.as_str().into()),
            ("username", user.into()),
            ("password", password.into()),
            ("topic", format!("{}/{{sensor}}", self.retained_under()).into()),
            ("home_assistant", self.discovered_under().into()),
        ];
        vec![
            hook(SINGLE, &[("group_levels", 0.into()), ("remind_every", "1s".into())]),
            hook(SUMMARY, &[("group_wait", "500ms".into())]),
            hook(GRAVE, &[("min_grade", LEAST_GRADE.into())]),
            route(BROKER, &broker),
        ]
    }

    fn retained_under(&self) -> String {
        format!("anomalies-{}", self.workspace.database())
    }

    fn discovered_under(&self) -> String {
        format!("discovery-{}", self.workspace.database())
    }

    pub(super) async fn until_refused(&mut self, count: usize) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let receiver = self.environment.receiver();
            let refused = receiver.asked().len() - receiver.posted().len();
            if refused >= count {
                return Ok(());
            }
            ensure!(started.elapsed() < self.timeout, "the receiver has refused {refused} attempts");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Waits until all notifications are settled.
    pub(super) async fn until_told(&mut self) -> anyhow::Result<()> {
        let mut progress = Progress::within(self.timeout);
        let mut tables = self.tables().await?;
        loop {
            let pending = tables.number(PENDING).await?;
            if pending == 0 {
                return Ok(());
            }
            ensure!(!progress.has_ended(pending), "{pending} notifications are not settled");
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Checks what was told against the tables.
    pub(super) async fn check_told(&mut self) -> anyhow::Result<()> {
        let mut tables = self.tables().await?;
        let posted = self.environment.receiver().posted();
        let mut found = inconsistent_keys(&posted);
        for (what, query) in INCONSISTENCIES {
            let count = tables.number(query).await?;
            if count > 0 {
                found.push(format!("{count} {what}"));
            }
        }
        for route in WEB_ROUTES {
            let sent = announced(&mut tables, route).await?;
            found.extend(
                disorder(&told_by(&posted, route), &sent).map(|text| format!("route {route}: {text}")),
            );
        }
        found.extend(self.check_retained(&mut tables).await?);
        self.findings.extend(found);
        Ok(())
    }

    /// Checks that the broker retains the anomalies that go on, and no others. A broker that was
    /// killed gets them again soon.
    async fn check_retained(&self, tables: &mut Tables) -> anyhow::Result<Vec<String>> {
        let anomalies = "SELECT DISTINCT s.name FROM anomalies a JOIN sensors s ON s.id = a.sensor";
        let known = texts(tables, anomalies).await?;
        let open = texts(tables, &format!("{anomalies} WHERE a.ended IS NULL")).await?;
        if open.is_empty() {
            return Ok(vec!["no anomaly goes on at the end, so the broker has none to retain".to_owned()]);
        }
        let port = self.environment.broker_port();
        let under = format!("{}/", self.retained_under());
        let mut progress = Progress::within(self.timeout);
        loop {
            let states = retained(port, &format!("{under}#")).await?;
            let discovered = retained(port, &format!("{}/#", self.discovered_under())).await?.len();
            let shown: BTreeSet<&str> =
                states.keys().map(|topic| topic.strip_prefix(&under).unwrap_or(topic)).collect();
            let is_right = shown == open.iter().map(String::as_str).collect();
            if is_right && (open.len()..=known.len()).contains(&discovered) {
                return Ok(Vec::new());
            }
            if progress.has_ended((states.clone(), discovered)) {
                let retained = format!("the broker retains anomalies of {shown:?}, those of {open:?} go on");
                return Ok(vec![format!("{retained}; {discovered} sensors are discovered")]);
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Returns what the receivers were told, except reminders, which follow from the time; `None`
    /// without receivers.
    pub(super) fn told(&self) -> Option<BTreeSet<Told>> {
        let posted = self.environment.receiver().posted();
        let of_route = |route: &str| {
            let said = told_by(&posted, route).into_iter();
            said.map(|(sensor, started, kind)| (route.to_owned(), sensor, started, kind)).collect::<Vec<_>>()
        };
        self.case.notified.then(|| WEB_ROUTES.into_iter().flat_map(of_route).collect())
    }
}

/// Returns a route without waits.
fn route(name: &str, keys: &[(&str, Value)]) -> Value {
    let common: [(&str, Value); 4] = [
        ("name", name.into()),
        ("group_wait", "0s".into()),
        ("group_interval", "0s".into()),
        ("max_per_minute", 10_000.into()),
    ];
    let keys = common.iter().chain(keys).map(|(key, value)| ((*key).to_owned(), value.clone()));
    keys.collect::<Table>().into()
}

/// Returns what a route has said, each for the first time, without reminders.
fn told_by(posted: &[Posted], route: &str) -> Vec<Said> {
    let mut seen = BTreeSet::new();
    let of_route = posted.iter().filter(|post| post.path.strip_prefix('/') == Some(route));
    let said = of_route.flat_map(Posted::said).filter(|(_, _, kind)| kind != "reminder");
    said.filter(|said| seen.insert(said.clone())).collect()
}

/// Returns what a route has sent by the tables, in the order of each sensor's notifications.
/// Times have as many decimals as in a message: 0, 3 or 6.
async fn announced(tables: &mut Tables, route: &str) -> anyhow::Result<Vec<Said>> {
    let query = format!(
        r#"SELECT concat_ws('|', name, regexp_replace(regexp_replace(
             to_char(started AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '[.]000000$', ''), '([.]...)000$', '\1') || 'Z', kind)
         FROM notification_deliveries WHERE route = '{route}' AND state = 'sent' AND kind <> 'reminder'
         ORDER BY name, position"#
    );
    let rows = texts(tables, &query).await?;
    let said = |row: &String| {
        let mut parts = row.split('|').map(str::to_owned);
        Some((parts.next()?, parts.next()?, parts.next()?))
    };
    Ok(rows.iter().filter_map(said).collect())
}

/// Returns the texts of a query with one column.
async fn texts(tables: &mut Tables, query: &str) -> anyhow::Result<Vec<String>> {
    let rows = tables.texts(query).await?;
    // A row is written as (text).
    Ok(rows.iter().map(|row| row.trim_matches(['(', ')', '"']).to_owned()).collect())
}

/// Describes how what was told differs from what the tables say was sent, sensor by sensor.
fn disorder(told: &[Said], sent: &[Said]) -> Option<String> {
    let by_sensor = |said: &[Said]| {
        let mut sensors: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
        for (sensor, started, kind) in said {
            sensors.entry(sensor.clone()).or_default().push((started.clone(), kind.clone()));
        }
        sensors
    };
    let (told, sent) = (by_sensor(told), by_sensor(sent));
    let sensors: BTreeSet<&String> = told.keys().chain(sent.keys()).collect();
    let wrong = sensors.into_iter().find(|sensor| told.get(*sensor) != sent.get(*sensor))?;
    Some(format!("{wrong} was told {:?}, not {:?}", told.get(wrong), sent.get(wrong)))
}

/// Describes messages with one key that say different things, and messages that say the same with
/// different keys. Reminders are several messages that say the same.
fn inconsistent_keys(posted: &[Posted]) -> Vec<String> {
    let mut texts: BTreeMap<(&str, &str), Vec<Said>> = BTreeMap::new();
    let mut keys: BTreeMap<(&str, Said), &str> = BTreeMap::new();
    let mut found = Vec::new();
    for post in posted {
        let said = post.said();
        let first = texts.entry((&post.path, &post.key)).or_insert_with(|| said.clone());
        if *first != said {
            found.push(format!("the key {} says {first:?}, and then {said:?}", post.key));
        }
        for part in said.into_iter().filter(|(_, _, kind)| kind != "reminder") {
            let first = *keys.entry((&post.path, part.clone())).or_insert(&post.key);
            if first != post.key {
                found.push(format!("{part:?} has the key {first}, and then the key {}", post.key));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(key: &str, kinds: &[&str]) -> Posted {
        let body = serde_json::json!({"events": [{"sensor": "a", "started": "1", "kinds": kinds}]});
        let (path, key) = ("/single".to_owned(), key.to_owned());
        Posted { path, key, authorization: String::new(), body: body.to_string() }
    }

    #[test]
    fn a_repeat_has_the_same_key_and_the_same_text() {
        let told = [post("1", &["opened"]), post("1", &["opened"]), post("2", &["ended"])];
        assert!(inconsistent_keys(&told).is_empty());
        let reminders = [post("1", &["reminder"]), post("2", &["reminder"])];
        assert!(inconsistent_keys(&reminders).is_empty());
        let other_text = [post("1", &["opened"]), post("1", &["ended"])];
        assert_eq!(inconsistent_keys(&other_text).len(), 1);
        let other_key = [post("1", &["opened"]), post("2", &["opened"])];
        assert_eq!(inconsistent_keys(&other_key).len(), 1);
    }
}
