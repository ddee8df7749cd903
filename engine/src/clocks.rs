//! Watches for sensors whose clocks are wrong: counts them, and logs each topic whose messages are
//! refused because their time is in the future. A shard logs the sensors whose clocks are behind.

use std::collections::BTreeSet;
use std::time::Duration;

use actix_rt::task::JoinHandle;
use chrono::Utc;
use serde::Serialize;
use thicket_actors::metrics::Metrics;
use thicket_schema::Timestamp;
use thicket_store::complaints;
use thicket_store::postgres::{
    ClockAhead, ClockBehind, PostgresConnection, QueryError, clocks_ahead, clocks_behind, connect_postgres,
};

use crate::config::Config;
use crate::time_arg;

const POLL_INTERVAL: Duration = Duration::from_mins(1);
/// How long to wait for PostgreSQL.
const POLL_TIMEOUT: Duration = Duration::from_mins(1);
/// Refused messages of this age or younger count.
const RECENT: Duration = Duration::from_hours(1);
/// A sensor whose clock is behind is named until it has sent no reading for this long.
const SILENT: Duration = Duration::from_hours(24);
/// Maximum number of sensors and of topics that are named.
const NAMED: i64 = 1_000;
/// Late readings in a row after which a sensor is named if its time never begins again.
const LATE: u32 = 20;

/// The sensors whose clocks are wrong.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Clocks {
    pub(crate) behind: Vec<Behind>,
    pub(crate) ahead: Vec<Ahead>,
}

/// A sensor whose clock is behind.
#[derive(Debug, Serialize)]
pub(crate) struct Behind {
    pub(crate) sensor: String,
    /// How far the last reading was behind its arrival, in seconds.
    pub(crate) seconds: f64,
    /// When the first late reading in a row arrived.
    pub(crate) since: Timestamp,
    /// Late readings in a row.
    pub(crate) late: i32,
    /// Whether the sensor's time has begun again: its readings are scored.
    pub(crate) scored: bool,
}

/// A topic whose messages are refused because their time is in the future.
#[derive(Debug, Serialize)]
pub(crate) struct Ahead {
    pub(crate) topic: String,
    /// How far the times were ahead of their arrival at most, in seconds.
    pub(crate) seconds: Option<f64>,
    /// When the first of the recent messages arrived.
    pub(crate) since: Timestamp,
    /// When the last of them arrived.
    pub(crate) last: Timestamp,
    /// Refused messages of the last hour.
    pub(crate) refused: i64,
}

impl Clocks {
    /// Reads the state from PostgreSQL.
    pub(crate) async fn read(config: &Config, postgres: &mut PostgresConnection) -> Result<Self, QueryError> {
        let late = match config.detector.begin_again_after {
            0 => LATE,
            readings => readings,
        };
        let ago = |duration: Duration| Timestamp::from(Utc::now() - duration);
        let behind = clocks_behind(postgres, late, ago(SILENT), NAMED).await?;
        let ahead = clocks_ahead(postgres, ago(RECENT), NAMED).await?;
        Ok(Self {
            behind: behind.into_iter().map(Behind::from).collect(),
            ahead: ahead.into_iter().map(Ahead::from).collect(),
        })
    }
}

impl From<ClockBehind> for Behind {
    fn from(ClockBehind { sensor, late, since, behind_us, ahead_of }: ClockBehind) -> Self {
        Self { sensor, seconds: seconds(behind_us), since, late, scored: ahead_of.is_some() && late == 0 }
    }
}

impl From<ClockAhead> for Ahead {
    fn from(ClockAhead { topic, refused, since, last, ahead_us }: ClockAhead) -> Self {
        Self { topic, seconds: ahead_us.map(seconds), since, last, refused }
    }
}

fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

impl Behind {
    /// Describes the sensor for people.
    pub(crate) fn words(&self) -> String {
        let Self { sensor, seconds, since, late, scored } = self;
        let state =
            if *scored { "scored again".to_owned() } else { format!("{late} late readings in a row") };
        format!("{sensor}: {} behind since {}; {state}", duration(*seconds), time_arg::show(*since))
    }
}

impl Ahead {
    /// Describes the topic for people.
    pub(crate) fn words(&self) -> String {
        let Self { topic, seconds, since, refused, .. } = self;
        let ahead = seconds.map_or_else(|| "ahead".to_owned(), |ahead| format!("{} ahead", duration(ahead)));
        format!("{topic}: {ahead} since {}; {refused} refused in the last hour", time_arg::show(*since))
    }
}

/// Shows seconds in the largest fitting unit.
fn duration(seconds: f64) -> String {
    for (unit, length) in [("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)] {
        if seconds >= length {
            return format!("{:.1} {unit}", seconds / length);
        }
    }
    format!("{seconds:.0} s")
}

/// Polls at once and then every minute.
pub(crate) fn watch(config: &Config, metrics: &Metrics) -> JoinHandle<()> {
    let (config, metrics) = (config.clone(), metrics.clone());
    actix_rt::spawn(async move {
        let mut known = BTreeSet::new();
        loop {
            let polled = tokio::time::timeout(POLL_TIMEOUT, poll(&config, &metrics, &known)).await;
            match polled.unwrap_or_else(|elapsed| Err(elapsed.into())) {
                Ok(topics) => known = topics,
                Err(error) => {
                    let error = format!("{error:#}");
                    if let Some(repeated) = complaints::due("watch the clocks", &error) {
                        tracing::warn!(error, repeated, "the clocks of the sensors are not watched");
                    }
                }
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    })
}

/// Sets the metric. Logs topics that are not known, and returns the topics.
async fn poll(
    config: &Config,
    metrics: &Metrics,
    known: &BTreeSet<String>,
) -> anyhow::Result<BTreeSet<String>> {
    let mut postgres = connect_postgres(config.postgres.server()).await?;
    let Clocks { behind, ahead } = Clocks::read(config, &mut postgres).await?;
    for (direction, number) in [("behind", behind.len()), ("ahead", ahead.len())] {
        metrics.wrong_clocks.with_label_values(&[direction]).set(number as i64);
    }
    for clock in ahead.iter().filter(|clock| !known.contains(&clock.topic)) {
        let Ahead { topic, refused, .. } = clock;
        tracing::warn!(
            topic,
            refused,
            ahead = clock.seconds.map(duration),
            "the clock of a sensor is ahead: its messages are refused because their time is in the future; see mqtt.max_future"
        );
    }
    Ok(ahead.into_iter().map(|clock| clock.topic).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sensor_is_named_with_its_distance_and_its_state() {
        let since = Timestamp(1_795_345_200_000_000);
        let behind = |late, ahead_of| ClockBehind {
            sensor: "pump".to_owned(),
            late,
            since,
            behind_us: 20 * 86_400_000_000,
            ahead_of,
        };
        let words = Behind::from(behind(20, None)).words();
        assert!(
            words.starts_with("pump: 20.0 d behind since ") && words.ends_with("20 late readings in a row")
        );
        assert!(Behind::from(behind(0, Some(since))).words().ends_with("scored again"));
        assert_eq!([30.0, 90.0, 7_200.0].map(duration), ["30 s", "1.5 min", "2.0 h"]);
    }
}
