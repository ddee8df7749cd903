//! The members of payloads that hold the time of the message.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::Value;
use thicket_codecs::payload::apart::rank;
use thicket_codecs::timestamp::{TimestampError, parse_lenient};
use thicket_schema::Timestamp;

/// Names of members that hold a time, in lower case, without `_` and `-`, the best first.
const TIME_NAMES: [&str; 12] = [
    "ts",
    "timestamp",
    "time",
    "tst",
    "datetime",
    "measuredat",
    "sourcetimestamp",
    "receivedat",
    "createdat",
    "updatedat",
    "date",
    "t",
];
/// Times before 2015 and after 2100 are no times of readings, in µs since 1970.
const PLAUSIBLE: std::ops::Range<i64> = 1_420_070_400_000_000..4_102_444_800_000_000;
/// A time that lies further before the latest one of its message is that of something else, such as
/// the last motion.
const NEAR_MICROS: i64 = 3_600_000_000;
/// Maximum number of paths that are suggested.
const MAX_PATHS: usize = 3;

/// The members that hold a time, by path.
#[derive(Debug, Default)]
pub(super) struct Times(BTreeMap<String, OfPath>);

/// The times at one path.
#[derive(Debug, Default)]
struct OfPath {
    messages: u64,
    /// Messages in which the time has no offset from UTC.
    local: u64,
    /// Messages that have a much later time at another path.
    far: u64,
    first: i64,
    varies: bool,
}

/// A member that holds the time.
#[derive(Debug)]
pub(super) struct TimeMember {
    pub(super) path: String,
    /// Whether most of the times have no offset from UTC.
    pub(super) is_local: bool,
}

impl Times {
    /// Adds a message with the paths and values of its members.
    pub(super) fn add(&mut self, members: &[(String, Value)]) {
        let of_member = |(path, value): &(String, Value)| {
            rank(path, &TIME_NAMES)?;
            let (is_local, micros) = time_of(value)?;
            Some((path.clone(), is_local, micros))
        };
        let times: Vec<(String, bool, i64)> = members.iter().filter_map(of_member).collect();
        for (path, is_local, micros) in &times {
            // A local time and one in UTC cannot be compared.
            let others = times.iter().filter(|(_, other, _)| other == is_local);
            let latest = others.map(|(.., micros)| *micros).max().unwrap_or(*micros);
            let of_path =
                self.0.entry(path.clone()).or_insert(OfPath { first: *micros, ..OfPath::default() });
            of_path.messages += 1;
            of_path.local += u64::from(*is_local);
            of_path.far += u64::from(latest - micros > NEAR_MICROS);
            of_path.varies |= *micros != of_path.first;
        }
    }

    /// Returns the members that hold the time, the best first: one that differs between messages,
    /// and lies near the latest time of its message.
    pub(super) fn best(&self) -> Vec<TimeMember> {
        let mut times: Vec<(&String, &OfPath)> = self.0.iter().collect();
        times.sort_by_key(|(path, one)| {
            let stands_still = one.messages > 1 && !one.varies;
            let is_far = 2 * one.far > one.messages;
            let depth = path.matches('.').count();
            (stands_still, is_far, Reverse(one.messages), depth, rank(path, &TIME_NAMES))
        });
        let member = |(path, one): (&String, &OfPath)| TimeMember {
            path: path.clone(),
            is_local: 2 * one.local > one.messages,
        };
        times.into_iter().take(MAX_PATHS).map(member).collect()
    }
}

/// Returns whether a time has no offset from UTC, and the time in µs since 1970, as if it were in
/// UTC; `None` if the value is no time.
fn time_of(value: &Value) -> Option<(bool, i64)> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    match parse_lenient(&text, None) {
        Ok(Timestamp(micros)) => PLAUSIBLE.contains(&micros).then_some((false, micros)),
        Err(TimestampError::NoZone(_)) => {
            parse_lenient(&format!("{}Z", text.trim()), None).ok().map(|time| (true, time.0))
        }
        Err(_) => None,
    }
}
