//! `thicket check`: reaches every server and says what is wrong and how to mend it.

use std::process::ExitCode;
use std::time::Duration;

use fred::interfaces::ConfigInterface as _;
use fred::prelude::ClientLike as _;
use rumqttc::{AsyncClient, Event, Incoming};
use thicket_actors::queue::try_connect_redis;

use crate::config::Config;
use crate::migrate;

const PATIENCE: Duration = Duration::from_secs(5);

/// What a check found: all well, in some words, or what is wrong and how to mend it.
type Finding = Result<String, String>;

/// Checks everything and prints a line for each.
pub(crate) async fn check(config: &Config) -> anyhow::Result<ExitCode> {
    println!("ok    configuration");
    let findings = [
        ("redis", redis(config).await),
        ("postgresql", postgres(config).await),
        ("mqtt", broker(config).await),
    ];
    let mut all_well = true;
    for (server, finding) in findings {
        match finding {
            Ok(words) => println!("ok    {server}: {words}"),
            Err(problem) => {
                all_well = false;
                println!("FAIL  {server}: {problem}");
            }
        }
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn redis(config: &Config) -> Finding {
    let url = &config.redis.url;
    let away = |error: &dyn std::fmt::Display| {
        format!(
            "{url} does not answer ({error}); start it (compose/install-servers installs it) or set redis.url"
        )
    };
    let client = match tokio::time::timeout(PATIENCE, try_connect_redis(url)).await {
        Ok(Ok(client)) => client,
        Ok(Err(error)) => return Err(away(&error)),
        Err(elapsed) => return Err(away(&elapsed)),
    };
    let info: String = client.info(None).await.map_err(|error| away(&error))?;
    let value = |key: &str| {
        info.lines().find_map(|line| line.strip_prefix(&format!("{key}:"))).unwrap_or("?").trim().to_owned()
    };
    let settings: Vec<(&str, &str)> =
        vec![("maxmemory-policy", "noeviction"), ("appendonly", "yes"), ("appendfsync", "always")];
    for (key, wanted) in settings {
        let found: Vec<String> = client.config_get(key).await.map_err(|error| away(&error))?;
        let found = found.get(1).cloned().unwrap_or_default();
        if found != wanted {
            return Err(format!(
                "{key} is {found}, which can lose what was acknowledged; set `{key} {wanted}` (compose/redis/redis.conf does)"
            ));
        }
    }
    drop(client.quit().await);
    Ok(format!("version {}, keeps what it acknowledges", value("redis_version")))
}

async fn postgres(config: &Config) -> Finding {
    let url = config.postgres.url.clone();
    let pending = tokio::task::spawn_blocking(move || migrate::pending(&url));
    match tokio::time::timeout(PATIENCE, pending).await {
        Ok(Ok(Ok(pending))) if pending.is_empty() => Ok("the tables are up to date".to_owned()),
        Ok(Ok(Ok(pending))) => {
            Err(format!("{} migrations have not run; run `thicket migrate`", pending.len()))
        }
        Ok(Ok(Err(error))) => Err(format!(
            "does not answer ({error:#}); start it (compose/install-servers installs it) or set postgres.url"
        )),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("does not answer in time; check postgres.url".to_owned()),
    }
}

async fn broker(config: &Config) -> Finding {
    let (host, port) = config.mqtt.address().map_err(|error| error.to_string())?;
    // A client id of its own: the engine's would throw a running engine off the broker.
    let mut options = rumqttc::MqttOptions::new(
        format!("{}-check-{}", config.mqtt.client_id, std::process::id()),
        &host,
        port,
    );
    if !config.mqtt.username.is_empty() {
        options.set_credentials(&config.mqtt.username, &config.mqtt.password);
    }
    let (_client, mut event_loop) = AsyncClient::new(options, 1);
    let connected = async {
        loop {
            if let Event::Incoming(Incoming::ConnAck(_)) = event_loop.poll().await? {
                return Ok::<(), rumqttc::ConnectionError>(());
            }
        }
    };
    match tokio::time::timeout(PATIENCE, connected).await {
        Ok(Ok(())) => Ok(format!("{host}:{port} accepts the connection")),
        Ok(Err(error)) => Err(format!(
            "{host}:{port} refused ({error}); start it (compose/install-servers installs it), or set mqtt.url, mqtt.username and mqtt.password"
        )),
        Err(_) => Err(format!("{host}:{port} does not answer in time; check mqtt.url")),
    }
}
