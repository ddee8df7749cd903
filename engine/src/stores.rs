//! The connections of commands to the stores. Their errors name the address and the cause, and say
//! what to do.

use std::fmt::Display;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use thicket_connect::{Expected, with_advice};
use thicket_schema::Keys;
use thicket_store::deployment::check_same;
use thicket_store::postgres::{PostgresConnection, connect_postgres, deployment_name};
use thicket_store::redis::{Client, marked_deployment, try_connect_redis};

use crate::config::Config;

/// The context of a failed query that is a command's first: usually the tables are missing.
pub(crate) const TABLES_MISSING: &str =
    "the tables cannot be read; if they are missing or out of date, run `thicket migrate`";

/// How long a server may take to accept a connection.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(4);

/// What a person does about a server that gives no connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remedy {
    /// The setting with the address.
    pub(crate) url: &'static str,
    /// What starts the server.
    pub(crate) start: &'static str,
}

/// What to do about the servers.
pub(crate) const POSTGRES: Remedy =
    Remedy { url: "postgres.url", start: "start it (`sudo apt-get install postgresql` installs it)" };
pub(crate) const MQTT: Remedy =
    Remedy { url: "mqtt.url", start: "start it (`sudo apt-get install mosquitto` installs it)" };
pub(crate) const REDIS: Remedy =
    Remedy { url: "redis.url", start: "start it (`sudo apt-get install redis-server` installs it)" };

/// The command that starts all servers, if they are those of a deployment of `thicket up`.
static STARTED_BY: OnceLock<String> = OnceLock::new();

/// Notes the command that starts all servers. Called at most once.
pub(crate) fn are_started_by(command: String) {
    let _ = STARTED_BY.set(command);
}

/// Parts of errors of a server that does not answer: it may not run.
const AWAY: [&str; 7] = [
    "Connection refused",
    "timed out",
    "No such file or directory",
    "No route to host",
    "Network is unreachable",
    "Host is unreachable",
    "no answer",
];
/// Parts of errors of a server that refuses the user, the password or the database.
const REFUSED: [&str; 9] = [
    "password",
    "authentication",
    "Authentication",
    "WRONGPASS",
    "NOAUTH",
    "NOPERM",
    "pg_hba.conf",
    "role \"",
    "database \"",
];

impl Remedy {
    /// Says what to do about the cause of a failed connection. A server that answers is not to be
    /// started.
    pub(crate) fn of(self, cause: &str) -> String {
        let Self { url, start } = self;
        let has = |parts: &[&str]| parts.iter().any(|part| cause.contains(part));
        if cause.contains("failed to lookup address") {
            format!("correct the host name in {url}")
        } else if let (true, Some(command)) = (has(&AWAY), STARTED_BY.get()) {
            format!("the deployment does not run: start it with `{command}`")
        } else if has(&AWAY) {
            format!("if it does not run, {start}, or set {url}")
        } else if has(&REFUSED) {
            format!("correct the user, the password or the database in {url}")
        } else {
            format!("if you meant another server, change {url}")
        }
    }
}

/// Connects to PostgreSQL.
pub(crate) async fn postgres(config: &Config) -> anyhow::Result<PostgresConnection> {
    let server = config.postgres.server();
    let is_tls = server.verification().ok().flatten().is_some();
    let connected = match tokio::time::timeout(CONNECT_LIMIT, connect_postgres(&server)).await {
        Ok(connected) => connected.map_err(anyhow::Error::from),
        Err(_) => Err(silent(is_tls)),
    };
    connected.map_err(|error| refused(error, "postgresql", &server, POSTGRES))
}

/// Connects to Redis.
pub(crate) async fn redis(config: &Config) -> anyhow::Result<Client> {
    let server = config.redis.server();
    let is_tls = server.verification().is_some();
    let connected = match tokio::time::timeout(CONNECT_LIMIT, try_connect_redis(&server)).await {
        Ok(connected) => connected.map_err(anyhow::Error::from),
        Err(_) => Err(silent(is_tls)),
    };
    connected.map_err(|error| refused(error, "redis", &server, REDIS))
}

/// What may be wrong if Redis has no mark of a deployment that has run before.
pub(crate) const UNMARKED: &str = "redis does not have the name of this deployment: it has lost its data, redis.url or redis.prefix lead to another one, or only engines of an earlier version have used it; an engine that starts writes it";

/// Fails if Redis belongs to another deployment than the database. Changes nothing. Returns whether
/// nothing speaks against it: false if Redis has no mark, although the deployment has run before.
pub(crate) async fn refuse_other_deployment(
    config: &Config,
    redis: &Client,
    postgres: &mut PostgresConnection,
) -> anyhow::Result<bool> {
    let keys = Keys::new(&config.redis.prefix)?;
    let in_redis = marked_deployment(redis, &keys).await?;
    let in_postgres = deployment_name(postgres).await.context(TABLES_MISSING)?;
    check_same(&keys, in_redis.as_deref(), in_postgres.as_deref())?;
    Ok(in_redis == in_postgres)
}

/// Adds what to do to the error of a connection.
fn refused(error: anyhow::Error, name: &str, server: &dyn Display, remedy: Remedy) -> anyhow::Error {
    let remedy = remedy.of(&error.root_cause().to_string());
    error.context(format!("{name} at {server} does not accept the connection; {remedy}"))
}

/// Returns the error of a server that does not answer within [`CONNECT_LIMIT`].
pub(crate) fn silent(is_tls: bool) -> anyhow::Error {
    let expected = if is_tls { Expected::Tls } else { Expected::Plain };
    let seconds = CONNECT_LIMIT.as_secs();
    anyhow!(with_advice(&format!("no answer within {seconds} s: timed out"), expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_server_that_does_not_answer_is_to_be_started() {
        for cause in ["Connection refused (os error 111)", "no answer within 4 s: timed out"] {
            assert!(POSTGRES.of(cause).contains("start it"), "{cause}");
        }
        let lookup = "failed to lookup address information: Name or service not known";
        assert_eq!(REDIS.of(lookup), "correct the host name in redis.url");
        for cause in [
            "password authentication failed for user \"a\"",
            "database \"nodb\" does not exist",
            "WRONGPASS x",
        ] {
            assert!(POSTGRES.of(cause).starts_with("correct the user"), "{cause}");
        }
        assert!(!REDIS.of("something answers there that is not Redis").contains("start"));
    }
}
