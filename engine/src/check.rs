//! `thicket check`: connects to every server, and says what is wrong and how to fix it.

mod fleet;
mod mqtt;

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;

use thicket_actors::checkpoint::checkpoint_budget;
use thicket_notify::Route;
use thicket_store::postgres::{PresentFleet, count_sensors, present_fleet};
use thicket_store::redis::{disconnect, redis_memory, server_version, setting};

use crate::config::{Config, Loaded, SecretFile};
use crate::format::{bytes, count};
use crate::output::Format;
use crate::plan::DetectorCost;
use crate::terminal::{on_one_line, outln};
use crate::{migrate, security, stores};

/// The arguments of `thicket check`.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct CheckArgs {
    /// Check the configuration and its files only, and connect to no server.
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    format: Format,
}

/// The place of the first line: a configuration that is wrong ends the command before.
const CONFIGURATION: &str = "configuration";

/// The settings that Redis needs so that it loses no acknowledged entry.
const REDIS_SETTINGS: [(&str, &str); 3] =
    [("maxmemory-policy", "noeviction"), ("appendonly", "yes"), ("appendfsync", "always")];

/// Fields of the sensor whose checkpoints are counted.
const PLANNED_FIELDS: u16 = 4;

/// How long a server may take after it has accepted the connection.
const GRACE: Duration = Duration::from_millis(800);

/// The result of a check: a description of what works, or the problem and how to solve it.
type Finding = Result<String, String>;

/// A line of the report.
#[derive(Serialize)]
struct Line {
    level: Level,
    /// The server or the section of the configuration.
    place: String,
    #[serde(rename = "message")]
    words: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
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
pub(crate) async fn check(loaded: &Loaded, args: CheckArgs) -> anyhow::Result<ExitCode> {
    let config = &loaded.config;
    let mut lines = vec![Line::ok(CONFIGURATION, String::new())];
    let exposed = loaded.secret_files.iter().filter_map(SecretFile::warning);
    lines.extend(exposed.map(|words| Line::warn(CONFIGURATION, words)));
    lines.extend(warnings_of_routes(config));
    if args.offline {
        lines.extend(mqtt::misfits_of(config));
    } else {
        let (redis, (postgres, fleet), brokers) =
            tokio::join!(bounded(redis(config)), postgres_and_fleet(config), mqtt::brokers(config));
        // Without one of the stores, another line says what is missing.
        let maxmemory = redis.as_ref().ok().map(|found| found.1);
        let needs = maxmemory.zip(fleet).map(|(maxmemory, fleet)| match fleet {
            Ok((fleet, known)) => {
                let needs = fleet::needs(config, &fleet, maxmemory);
                needs.into_iter().chain(fleet::near_limit(config, known)).collect()
            }
            Err(problem) => vec![Line::warn("fleet", format!("not known: {problem}"))],
        });
        let both_answer = redis.is_ok() && postgres.is_ok();
        lines.push(Line::of("redis", redis.map(|(words, _)| words)));
        lines.push(Line::of("postgresql", postgres));
        if both_answer {
            lines.extend(Box::pin(deployment(config)).await);
        }
        lines.extend(brokers);
        lines.extend(needs.unwrap_or_default());
    }
    let all_pass = lines.iter().all(|line| line.level != Level::Fail);
    args.format.print(&lines, |lines| lines.iter().for_each(print_line))?;
    Ok(if all_pass { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns a line for each route with dangerous settings.
fn warnings_of_routes(config: &Config) -> Vec<Line> {
    let routes = config.notify.routes().unwrap_or_default();
    let warning = |route: &Route| {
        let place = format!("notify {}", route.config.name);
        route.receiver.warning().map(|words| Line::warn(&place, words))
    };
    routes.iter().filter_map(warning).collect()
}

fn print_line(Line { level, place, words }: &Line) {
    let level = match level {
        Level::Ok => "ok   ",
        Level::Warn => "warn ",
        Level::Fail => "FAIL ",
    };
    let colon = if words.is_empty() { "" } else { ": " };
    // An error of a server can have several lines.
    outln!("{level} {place}{colon}{}", on_one_line(words));
}

/// Bounds a check whose server accepts the connection and then gives no answer.
async fn bounded<T>(check: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let limit = stores::CONNECT_LIMIT + GRACE;
    let silent = || Err("the server accepts the connection, but does not answer".to_owned());
    tokio::time::timeout(limit, check).await.unwrap_or_else(|_| silent())
}

/// Returns the words of the report, and `maxmemory`.
async fn redis(config: &Config) -> Result<(String, u64), String> {
    let server = config.redis.server();
    let away = |error: &dyn std::fmt::Display| {
        format!("{server}: {error}; {}", stores::REDIS.of(&error.to_string()))
    };
    let client = stores::redis(config).await.map_err(|error| away(&error.root_cause()))?;
    let version = server_version(&client).await.map_err(|error| away(&error))?;
    for (name, wanted) in REDIS_SETTINGS {
        let found = setting(&client, name).await.map_err(|error| away(&error))?;
        if found != wanted {
            return Err(format!(
                "{name} is {found}, which can lose acknowledged entries; set `{name} {wanted}` (compose/redis/redis.conf does)"
            ));
        }
    }
    let memory = redis_memory(&client).await.map_err(|error| away(&error))?;
    disconnect(&client).await;
    let checkpoints = checkpoints_that_fit(config, memory.limit);
    let version = version.unwrap_or_else(|| "?".to_owned());
    let security = security::describe(server.verification());
    Ok((
        format!("version {version}, keeps every acknowledged entry, {security}; {checkpoints}"),
        memory.limit,
    ))
}

/// Returns a line if Redis does not, or may not, belong to the deployment of the database.
async fn deployment(config: &Config) -> Option<Line> {
    let compare = async {
        let (redis, mut postgres) = (stores::redis(config).await?, stores::postgres(config).await?);
        let compared = stores::refuse_other_deployment(config, &redis, &mut postgres).await;
        disconnect(&redis).await;
        compared
    };
    let compare = async { compare.await.map_err(|error: anyhow::Error| format!("{error:#}")) };
    let compared = bounded(Box::pin(compare)).await;
    match compared {
        Ok(true) => None,
        Ok(false) => Some(Line::warn("deployment", stores::UNMARKED.to_owned())),
        Err(problem) => Some(Line::fail("deployment", problem)),
    }
}

/// Says how many checkpoints fit into a Redis with this `maxmemory`.
fn checkpoints_that_fit(config: &Config, maxmemory: u64) -> String {
    let budget = checkpoint_budget(config.checkpoint.memory.bytes(), maxmemory);
    let bound = if maxmemory == 0 { "without maxmemory".to_owned() } else { bytes(maxmemory as f64) };
    let fit = DetectorCost::measure(&config.detector, PLANNED_FIELDS).map_or_else(
        |_| String::new(),
        |cost| {
            let fitting = count(budget / cost.checkpoint, "sensor");
            format!(
                ", those of {fitting} with {PLANNED_FIELDS} fields (`thicket plan` says what a fleet needs)"
            )
        },
    );
    format!("{bound}, of which checkpoints may take {}{fit}", bytes(budget as f64))
}

/// Returns the line of PostgreSQL, and the fleet that its tables show. A fleet that takes too long
/// to count says nothing against the server.
async fn postgres_and_fleet(config: &Config) -> (Finding, Option<Result<(PresentFleet, i64), String>>) {
    let found = bounded(postgres(config)).await;
    let fleet = if found.is_ok() { Some(bounded(fleet_of(config)).await) } else { None };
    (found, fleet)
}

/// Returns the fleet, and the number of known sensors.
async fn fleet_of(config: &Config) -> Result<(PresentFleet, i64), String> {
    let mut connection = stores::postgres(config).await.map_err(|error| error.root_cause().to_string())?;
    let present = present_fleet(&mut connection).await.map_err(|error| error.to_string())?;
    let known = count_sensors(&mut connection).await.map_err(|error| error.to_string())?;
    Ok((present, known))
}

async fn postgres(config: &Config) -> Finding {
    let server = config.postgres.server();
    let away = |error: &dyn std::fmt::Display| {
        format!("{server}: {error}; {}", stores::POSTGRES.of(&error.to_string()))
    };
    stores::postgres(config).await.map_err(|error| away(&error.root_cause()))?;
    let asked = server.clone();
    let pending = tokio::task::spawn_blocking(move || migrate::pending(&asked)).await;
    let pending =
        pending.map_err(|error| error.to_string())?.map_err(|error| format!("{server}: {error:#}"))?;
    if !pending.is_empty() {
        let migrations = count(pending.len() as u64, "migration");
        return Err(format!("{server}: {migrations} missing; run `thicket migrate`"));
    }
    let security = security::describe(server.verification().ok().flatten());
    Ok(format!("the tables are up to date, {security}"))
}
