//! `thicket check`: connects to every server, and says what is wrong and how to fix it.

use std::process::ExitCode;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, Incoming};
use thicket_store::redis::{disconnect, server_version, setting, try_connect_redis};

use crate::brokers::client_options;
use crate::config::{BrokerConfig, Config};
use crate::format::count;
use crate::migrate;

const TIMEOUT: Duration = Duration::from_secs(5);

/// The settings that Redis needs so that it loses no acknowledged entry.
const REDIS_SETTINGS: [(&str, &str); 3] =
    [("maxmemory-policy", "noeviction"), ("appendonly", "yes"), ("appendfsync", "always")];

/// The result of a check: a description of what works, or the problem and how to solve it.
type Finding = Result<String, String>;

/// Runs all checks and prints a line for each.
pub(crate) async fn check(config: &Config) -> anyhow::Result<ExitCode> {
    println!("ok    configuration");
    let mut findings =
        vec![("redis".to_owned(), redis(config).await), ("postgresql".to_owned(), postgres(config).await)];
    for mqtt in &config.mqtt {
        let name =
            if config.mqtt.len() == 1 { "mqtt".to_owned() } else { format!("mqtt {}", mqtt.broker.label()) };
        findings.push((name, broker(&mqtt.broker).await));
    }
    let mut all_pass = true;
    for (server, finding) in findings {
        match finding {
            Ok(words) => println!("ok    {server}: {words}"),
            Err(problem) => {
                all_pass = false;
                println!("FAIL  {server}: {problem}");
            }
        }
    }
    Ok(if all_pass { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn redis(config: &Config) -> Finding {
    let url = &config.redis.url;
    let away = |error: &dyn std::fmt::Display| {
        format!(
            "{url} does not answer ({error}); start it (compose/install-servers installs it) or set redis.url"
        )
    };
    let client = match tokio::time::timeout(TIMEOUT, try_connect_redis(url)).await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return Err(away(&error)),
        Err(elapsed) => return Err(away(&elapsed)),
    };
    let version = server_version(&client).await.map_err(|error| away(&error))?;
    for (name, wanted) in REDIS_SETTINGS {
        let found = setting(&client, name).await.map_err(|error| away(&error))?;
        if found != wanted {
            return Err(format!(
                "{name} is {found}, which can lose acknowledged entries; set `{name} {wanted}` (compose/redis/redis.conf does)"
            ));
        }
    }
    disconnect(&client).await;
    let version = version.unwrap_or_else(|| "?".to_owned());
    Ok(format!("version {version}, keeps every acknowledged entry"))
}

async fn postgres(config: &Config) -> Finding {
    let url = config.postgres.url.clone();
    let pending = tokio::task::spawn_blocking(move || migrate::pending(&url));
    match tokio::time::timeout(TIMEOUT, pending).await {
        Ok(Ok(Ok(pending))) if pending.is_empty() => Ok("the tables are up to date".to_owned()),
        Ok(Ok(Ok(pending))) => {
            let migrations = count(pending.len() as u64, "migration");
            Err(format!("{migrations} missing; run `thicket migrate`"))
        }
        Ok(Ok(Err(error))) => Err(format!(
            "does not answer ({error:#}); start it (compose/install-servers installs it) or set postgres.url"
        )),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("does not answer in time; check postgres.url".to_owned()),
    }
}

async fn broker(broker: &BrokerConfig) -> Finding {
    let options = client_options(broker, "check").map_err(|error| error.to_string())?;
    let (host, port) = options.broker_address();
    let (_client, mut event_loop) = AsyncClient::new(options, 1);
    let connected = async {
        loop {
            if let Event::Incoming(Incoming::ConnAck(_)) = event_loop.poll().await? {
                return Ok::<(), rumqttc::ConnectionError>(());
            }
        }
    };
    match tokio::time::timeout(TIMEOUT, connected).await {
        Ok(Ok(())) => Ok(format!("{host}:{port} accepts the connection")),
        Ok(Err(error)) => Err(format!(
            "{host}:{port} refused ({error}); start it (compose/install-servers installs it), or set mqtt.url, mqtt.username and mqtt.password"
        )),
        Err(_) => Err(format!("{host}:{port} does not answer in time; check mqtt.url")),
    }
}
