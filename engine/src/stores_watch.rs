//! Asks both stores, all the time, whether they answer: for `/readyz`, for the metric
//! `thicket_store_connected`, and for one log line a minute while one does not.
//!
//! It has connections of its own. So it notices a store that is away also while no reading arrives,
//! and however the connections of the actors are busy.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_rt::task::JoinHandle;
use thicket_actors::metrics::Metrics;
use thicket_store::postgres::{PostgresConnection, PostgresServer, connect_postgres, takes_writes};
use thicket_store::redis::{
    Client, RedisServer, disconnect, is_read_only_replica, redis_memory, try_connect_redis,
};

use crate::config::Config;

/// Time between two questions.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// A store that has not answered for this long is away. Longer than one slow answer.
const AWAY_AFTER: Duration = Duration::from_secs(5);
/// Time between two log lines while a store is away.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// The state of both stores. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct StoresWatch {
    redis: StoreState,
    postgres: StoreState,
}

/// The state of one store. Clones share it.
#[derive(Clone, Debug)]
struct StoreState {
    name: &'static str,
    address: String,
    state: Arc<Mutex<Answers>>,
}

#[derive(Debug)]
struct Answers {
    /// When the store answered last, or when the engine started.
    answered: Instant,
    /// Why the last question was not answered.
    error: Option<String>,
    /// When the last log line was written, if the store is away.
    logged: Option<Instant>,
}

/// A store that does not answer, or refuses writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Away {
    name: &'static str,
    address: String,
    seconds: u64,
    error: String,
}

impl fmt::Display for Away {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, address, seconds, error } = self;
        write!(f, "{name} at {address} has not answered for {seconds} s: {error}")
    }
}

impl StoresWatch {
    /// Starts to ask.
    pub(crate) fn start(config: &Config, metrics: &Metrics) -> Self {
        let (redis, postgres) = (config.redis.server(), config.postgres.server());
        let watch = Self {
            redis: StoreState::new("redis", redis.to_string()),
            postgres: StoreState::new("postgresql", postgres.to_string()),
        };
        let _redis =
            watch.redis.clone().ask(RedisPing { metrics: metrics.clone(), server: redis, client: None });
        let _postgres = watch.postgres.clone().ask(PostgresPing { server: postgres, connection: None });
        watch
    }

    /// Sets the gauge of both stores.
    pub(crate) fn set_gauges(&self, metrics: &Metrics) {
        for store in [&self.redis, &self.postgres] {
            let is_connected = store.away(Instant::now()).is_none();
            metrics.store_connected.with_label_values(&[store.name]).set(i64::from(is_connected));
        }
    }

    /// Returns the stores that do not answer.
    pub(crate) fn away(&self) -> Vec<Away> {
        [&self.redis, &self.postgres].into_iter().filter_map(|store| store.away(Instant::now())).collect()
    }
}

impl StoreState {
    fn new(name: &'static str, address: String) -> Self {
        let answers = Answers { answered: Instant::now(), error: None, logged: None };
        Self { name, address, state: Arc::new(Mutex::new(answers)) }
    }

    /// Asks until the engine ends.
    fn ask(self, mut ping: impl Ping + 'static) -> JoinHandle<()> {
        actix_rt::spawn(async move {
            loop {
                // A connect has bounds of its own. If it were dropped, its tasks would go on.
                let answer = match ping.connect().await {
                    Err(error) => Err(error),
                    Ok(()) => match tokio::time::timeout(TIMEOUT, ping.ask()).await {
                        Ok(answer) => answer,
                        Err(_) => Err(format!("no answer within {} s", TIMEOUT.as_secs())),
                    },
                };
                if answer.is_err() {
                    // A new connection notices first that the server is back.
                    ping.forget().await;
                }
                self.note(answer, Instant::now());
                tokio::time::sleep(INTERVAL).await;
            }
        })
    }

    fn note(&self, answer: Result<(), String>, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(()) => {
                if state.logged.take().is_some() {
                    let seconds = now.saturating_duration_since(state.answered).as_secs();
                    tracing::info!(address = self.address, seconds, "{} answers again", self.name);
                }
                *state = Answers { answered: now, error: None, logged: None };
            }
            Err(error) => state.error = Some(error),
        }
        drop(state);
        let Some(away) = self.away(now) else { return };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.logged.is_none_or(|logged| now.saturating_duration_since(logged) >= LOG_INTERVAL) {
            state.logged = Some(now);
            tracing::warn!("{away}; readings wait, and are processed once it answers");
        }
    }

    fn away(&self, now: Instant) -> Option<Away> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let silent = now.saturating_duration_since(state.answered);
        let error = state.error.clone().unwrap_or_else(|| "no answer yet".to_owned());
        let away = Away { name: self.name, address: self.address.clone(), seconds: silent.as_secs(), error };
        (silent >= AWAY_AFTER).then_some(away)
    }
}

/// Asks one server whether it answers.
trait Ping {
    /// Connects, unless there is a connection.
    async fn connect(&mut self) -> Result<(), String>;

    /// Asks on the connection.
    async fn ask(&mut self) -> Result<(), String>;

    /// Closes the connection.
    async fn forget(&mut self);
}

struct RedisPing {
    metrics: Metrics,
    server: RedisServer,
    client: Option<Client>,
}

impl Ping for RedisPing {
    async fn connect(&mut self) -> Result<(), String> {
        if self.client.is_none() {
            let connected = try_connect_redis(&self.server).await;
            self.client = Some(connected.map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    async fn ask(&mut self) -> Result<(), String> {
        let Some(client) = &self.client else { return Err("no connection".to_owned()) };
        let memory = redis_memory(client).await.map_err(|error| error.to_string())?;
        self.metrics.redis_memory_bytes.set(memory.used as i64);
        self.metrics.redis_memory_limit_bytes.set(memory.limit as i64);
        match is_read_only_replica(client).await {
            Ok(true) => Err("it is a replica, which refuses writes".to_owned()),
            Ok(false) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn forget(&mut self) {
        if let Some(client) = self.client.take() {
            // Ends the tasks of the client, which would reconnect without end.
            let _ = tokio::time::timeout(INTERVAL, disconnect(&client)).await;
        }
    }
}

struct PostgresPing {
    server: PostgresServer,
    connection: Option<PostgresConnection>,
}

impl Ping for PostgresPing {
    async fn connect(&mut self) -> Result<(), String> {
        if self.connection.is_none() {
            let connected = connect_postgres(&self.server).await;
            self.connection = Some(connected.map_err(|error| error.to_string())?);
        }
        Ok(())
    }

    async fn ask(&mut self) -> Result<(), String> {
        let Some(connection) = &mut self.connection else { return Err("no connection".to_owned()) };
        match takes_writes(connection).await {
            Ok(true) => Ok(()),
            Ok(false) => Err("it is read-only".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn forget(&mut self) {
        self.connection = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_away_after_five_seconds_and_back_at_the_first_answer() {
        let store = StoreState::new("redis", "redis://h".to_owned());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        store.note(Ok(()), start);
        store.note(Err("refused".to_owned()), at(4));
        assert_eq!(store.away(at(4)), None, "one slow answer is no outage");
        store.note(Err("refused".to_owned()), at(20));
        let away = store.away(at(20)).unwrap();
        assert_eq!(away.to_string(), "redis at redis://h has not answered for 20 s: refused");
        let logged = |store: &StoreState| store.state.lock().unwrap().logged;
        let first = logged(&store);
        store.note(Err("refused".to_owned()), at(70));
        assert_eq!(logged(&store), first, "one line a minute");
        store.note(Err("refused".to_owned()), at(81));
        assert_ne!(logged(&store), first);
        store.note(Ok(()), at(82));
        assert_eq!((store.away(at(82)), logged(&store)), (None, None));
    }
}
