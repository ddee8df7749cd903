//! `thicket check`: connects to every server, and says what is wrong and how to fix it.

mod mqtt;

use std::process::ExitCode;
use std::time::Duration;

use thicket_store::redis::{disconnect, server_version, setting, try_connect_redis};

use crate::config::Config;
use crate::format::count;
use crate::{migrate, security};

/// Longer than the timeouts of the clients, whose errors say more.
const TIMEOUT: Duration = Duration::from_secs(7);

/// The settings that Redis needs so that it loses no acknowledged entry.
const REDIS_SETTINGS: [(&str, &str); 3] =
    [("maxmemory-policy", "noeviction"), ("appendonly", "yes"), ("appendfsync", "always")];

/// The result of a check: a description of what works, or the problem and how to solve it.
type Finding = Result<String, String>;

/// A line of the report.
struct Line {
    level: Level,
    /// The server or the section of the configuration.
    place: String,
    words: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Ok,
    Warn,
    Fail,
}

impl Line {
    fn ok(place: &str, words: String) -> Self {
        Self { level: Level::Ok, place: place.to_owned(), words }
    }

    /// Something that may be meant so.
    fn warn(place: &str, words: String) -> Self {
        Self { level: Level::Warn, place: place.to_owned(), words }
    }

    fn fail(place: &str, words: String) -> Self {
        Self { level: Level::Fail, place: place.to_owned(), words }
    }

    fn of(place: &str, finding: Finding) -> Self {
        finding.map_or_else(|problem| Self::fail(place, problem), |words| Self::ok(place, words))
    }
}

/// Runs all checks and prints a line for each.
pub(crate) async fn check(config: &Config) -> anyhow::Result<ExitCode> {
    println!("ok    configuration");
    let mut lines =
        vec![Line::of("redis", redis(config).await), Line::of("postgresql", postgres(config).await)];
    lines.extend(mqtt::brokers(config).await);
    let mut all_pass = true;
    for Line { level, place, words } in lines {
        let level = match level {
            Level::Ok => "ok   ",
            Level::Warn => "warn ",
            Level::Fail => {
                all_pass = false;
                "FAIL "
            }
        };
        println!("{level} {place}: {words}");
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
