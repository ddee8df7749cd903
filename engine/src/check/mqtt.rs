//! The checks of a broker: connects and subscribes as the engine does, compares topic filters with
//! templates, and asks a running engine whether its client id is its own.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;

use thicket_actors::mqtt::{self, Event, Failure, FailureKind, MqttOptions, Qos, Version};
use thicket_actors::source::{Severity, misfits, plain_filter};
use thicket_store::postgres::deployment_name;

use super::Line;
use crate::brokers::{client_options, decode_options_of, engine_options};
use crate::config::{Config, MqttConfig};
use crate::format::count;
use crate::{scrape, security, stores};

/// How long a broker may take, in both versions of the protocol.
const TIMEOUT: Duration = Duration::from_millis(4_500);

/// Says what to do about a failure. A broker that answers is not to be started.
fn advice(failure: &Failure) -> String {
    match failure.kind {
        FailureKind::Refused => {
            "correct mqtt.username and mqtt.password if the broker knows another user".to_owned()
        }
        _ => stores::MQTT.of(&failure.to_string()),
    }
}

/// Checks every broker.
pub(super) async fn brokers(config: &Config) -> Vec<Line> {
    let (client_ids, engine) = tokio::join!(client_ids(config), scrape::scrape(&config.http));
    let conflicts = engine.ok().map(|samples| samples.labels_of("thicket_mqtt_client_id_conflict"));
    let conflicts = conflicts.unwrap_or_default();
    let check = |(index, mqtt)| broker(config, mqtt, client_ids.get(index).map(String::as_str), &conflicts);
    join_all(config.mqtt.iter().enumerate().map(check)).await.into_iter().flatten().collect()
}

/// Compares the topic filters of every broker with its templates.
pub(super) fn misfits_of(config: &Config) -> Vec<Line> {
    config.mqtt.iter().flat_map(|mqtt| fit(config, mqtt, &name_of(config, mqtt))).collect()
}

/// Returns the name of a broker in the report.
fn name_of(config: &Config, mqtt: &MqttConfig) -> String {
    if config.mqtt.len() == 1 { "mqtt".to_owned() } else { format!("mqtt {}", mqtt.broker.label()) }
}

/// Checks a broker. `conflicts` are the brokers at which another client uses the engine's client id.
async fn broker(
    config: &Config,
    mqtt: &MqttConfig,
    client_id: Option<&str>,
    conflicts: &[BTreeMap<String, String>],
) -> Vec<Line> {
    let (name, label) = (name_of(config, mqtt), mqtt.broker.label());
    let mut lines = fit(config, mqtt, &name);
    let in_conflict = conflicts.iter().any(|labels| labels.get("broker") == Some(&label));
    lines.push(if in_conflict {
            let client_id = client_id.unwrap_or("of the engine");
            Line::fail(
                &name,
                format!(
                    "another client uses the client id {client_id}: the running engine gets a part of the messages only; give each deployment its own mqtt.client_id"
                ),
            )
        } else {
            match tokio::time::timeout(TIMEOUT, connection(config, mqtt, client_id)).await {
                Ok(Ok(words)) => Line::ok(&name, words),
                Ok(Err(problem)) => Line::fail(&name, problem),
                Err(_) => Line::fail(&name, silent(mqtt)),
            }
        });
    lines
}

/// Returns the client ids of the engine, one for each broker; none if a default cannot be read from
/// PostgreSQL.
async fn client_ids(config: &Config) -> Vec<String> {
    let ids = |deployment: &str| {
        let options = engine_options(config, deployment).unwrap_or_default();
        options.into_iter().map(|options| options.client_id).collect()
    };
    if config.mqtt.iter().all(|mqtt| !mqtt.broker.client_id.is_empty()) {
        return ids("");
    }
    let Ok(mut postgres) = stores::postgres(config).await else { return Vec::new() };
    match tokio::time::timeout(stores::CONNECT_LIMIT, deployment_name(&mut postgres)).await {
        Ok(Ok(Some(deployment))) => ids(&deployment),
        Ok(Ok(None) | Err(_)) | Err(_) => Vec::new(),
    }
}

/// The problem of a broker that does not answer in time.
fn silent(mqtt: &MqttConfig) -> String {
    let Ok(address) = mqtt.broker.address() else { return mqtt.broker.label() };
    let is_tls = address.verification().is_some();
    let silent = stores::silent(is_tls);
    format!("{address}: {silent}; {}", stores::MQTT.of(&silent.to_string()))
}

/// Compares topic filters with templates.
fn fit(config: &Config, mqtt: &MqttConfig, name: &str) -> Vec<Line> {
    let decode = match decode_options_of(config, mqtt) {
        Ok(decode) => decode,
        Err(error) => return vec![Line::fail(name, error.to_string())],
    };
    let line = |misfit: thicket_actors::source::Misfit| match misfit.severity() {
        Severity::Refused | Severity::Wrong => Line::fail(name, misfit.to_string()),
        Severity::Notable => Line::warn(name, misfit.to_string()),
    };
    misfits(&decode.subscriptions).into_iter().map(line).collect()
}

/// Connects and subscribes, without a session and under a client id of its own.
async fn connection(config: &Config, mqtt: &MqttConfig, client_id: Option<&str>) -> Result<String, String> {
    let options = client_options(&mqtt.broker, "check").map_err(|error| error.to_string())?;
    let decode = decode_options_of(config, mqtt).map_err(|error| error.to_string())?;
    let topics: Vec<String> =
        decode.subscriptions.into_iter().flat_map(|subscription| subscription.topics).collect();
    // In the group of the engine, this client would take messages away from it.
    let of_own_group = |filter: &String| match plain_filter(filter) {
        plain if plain.len() == filter.len() => filter.clone(),
        plain => format!("$share/{}/{plain}", options.client_id),
    };
    let asked: Vec<String> = topics.iter().map(of_own_group).collect();
    let answers = subscribe(&options, &topics, &asked).await;
    let Answers { version, refused, downgraded } = answers.map_err(|problem| match problem {
        NoAnswer::ToConnect(failure) => format!("{}: {failure}; {}", options.address, advice(&failure)),
        NoAnswer::ToSubscribe(failure) => format!(
            "{}: the broker accepts the connection, but ends it at the subscription to {} ({failure}); its access rules (policy) may not allow a topic filter, see its log",
            options.address,
            topics.join(", ")
        ),
    })?;
    if !refused.is_empty() {
        return Err(format!("the broker refuses {}", refused.join("; ")));
    }
    if !downgraded.is_empty() {
        return Err(format!(
            "the broker grants {} {} at QoS 0 only, so messages are lost while no engine is connected; allow QoS 1 in the broker",
            if downgraded.len() == 1 { "the topic filter" } else { "the topic filters" },
            downgraded.join(", ")
        ));
    }
    let filters = count(topics.len() as u64, "topic filter");
    let unique = client_id.map_or_else(String::new, |id| {
        format!("; the engine's client id is {id}, which no other client may have")
    });
    let MqttOptions { address, .. } = options;
    let security = security::describe(address.verification());
    // With MQTT 5, the engine announces a limit.
    let size = match version {
        Version::V3 => {
            "; in MQTT 3.1.1 it may send messages of 256 MiB, so let it limit them (docs/brokers.md)"
        }
        Version::V5 => "",
    };
    Ok(format!(
        "{address} accepts the connection, {security}, in MQTT {version}, and {filters}{unique}{size}"
    ))
}

/// How a broker answers the request to subscribe.
struct Answers {
    version: Version,
    /// The filters that it refuses, with its reasons.
    refused: Vec<String>,
    /// The filters that it grants at QoS 0 only.
    downgraded: Vec<String>,
}

/// What a broker does not answer.
enum NoAnswer {
    ToConnect(Failure),
    /// Some brokers, such as those of AWS, close the connection instead of refusing a filter.
    ToSubscribe(Failure),
}

/// Subscribes to `asked`, and names the filters as in `topics`.
async fn subscribe(options: &MqttOptions, topics: &[String], asked: &[String]) -> Result<Answers, NoAnswer> {
    let (client, mut event_loop) = mqtt::open(options).await.map_err(NoAnswer::ToConnect)?;
    let mut answers = Answers { version: client.version(), refused: Vec::new(), downgraded: Vec::new() };
    if client.subscribe(asked, Qos::AtLeastOnce).is_err() {
        return Ok(answers);
    }
    let results = loop {
        if let Event::Subscribed(results) = event_loop.poll().await.map_err(NoAnswer::ToSubscribe)? {
            break results;
        }
    };
    for (topic, result) in topics.iter().zip(results) {
        match result {
            Err(reason) => answers.refused.push(format!("the topic filter {topic}: {reason}")),
            Ok(Qos::AtMostOnce) => answers.downgraded.push(topic.clone()),
            Ok(Qos::AtLeastOnce) => {}
        }
    }
    if client.disconnect().is_ok() {
        while !matches!(event_loop.poll().await, Ok(Event::Disconnected) | Err(_)) {}
    }
    Ok(answers)
}
