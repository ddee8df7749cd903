//! `thicket check`: connects to every server, and says what is wrong and how to fix it.

use std::process::ExitCode;
use std::time::Duration;

use rumqttc::{AsyncClient, Event, Incoming};
use thicket_store::redis::{disconnect, server_version, setting, try_connect_redis};

use crate::brokers::client_options;
use crate::config::{BrokerConfig, Config};
use crate::format::count;
use crate::{migrate, security};

/// Longer than the timeouts of the clients, whose errors say more.
const TIMEOUT: Duration = Duration::from_secs(7);

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
    let server = config.redis.server();
    let away = |error: &dyn std::fmt::Display| {
        format!(
            "{server}: {error}; if it does not run, start it (compose/install-servers installs it), or set redis.url"
        )
    };
    let client = match tokio::time::timeout(TIMEOUT, try_connect_redis(&server)).await {
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
    let security = security::describe(server.verification());
    Ok(format!("version {version}, keeps every acknowledged entry, {security}"))
}

async fn postgres(config: &Config) -> Finding {
    let server = config.postgres.server();
    let pending = tokio::task::spawn_blocking(move || migrate::pending(&server));
    match tokio::time::timeout(TIMEOUT, pending).await {
        Ok(Ok(Ok(pending))) if pending.is_empty() => {
            let security = security::describe(config.postgres.server().verification().ok().flatten());
            Ok(format!("the tables are up to date, {security}"))
        }
        Ok(Ok(Ok(pending))) => {
            let migrations = count(pending.len() as u64, "migration");
            Err(format!("{migrations} missing; run `thicket migrate`"))
        }
        Ok(Ok(Err(error))) => Err(format!(
            "{error:#}; if it does not run, start it (compose/install-servers installs it), or set postgres.url"
        )),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("does not answer in time; check postgres.url".to_owned()),
    }
}

async fn broker(broker: &BrokerConfig) -> Finding {
    let address = broker.address().map_err(|error| error.to_string())?;
    let options = client_options(broker, "check").map_err(|error| error.to_string())?;
    let (_client, mut event_loop) = AsyncClient::new(options, 1);
    let connected = async {
        loop {
            if let Event::Incoming(Incoming::ConnAck(_)) = event_loop.poll().await? {
                return Ok::<(), rumqttc::ConnectionError>(());
            }
        }
    };
    match tokio::time::timeout(TIMEOUT, connected).await {
        Ok(Ok(())) => {
            let security = security::describe(address.verification());
            Ok(format!("{address} accepts the connection, {security}"))
        }
        Ok(Err(error)) => Err(format!(
            "{address}: {}; if it does not run, start it (compose/install-servers installs it), or set mqtt.url, mqtt.username and mqtt.password",
            address.explain(&error)
        )),
        Err(_) => Err(format!("{address} does not answer in time; check mqtt.url")),
    }
}
