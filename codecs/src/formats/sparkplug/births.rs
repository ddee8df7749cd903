//! What birth certificates have taught: names, aliases and datatypes of metrics, for each edge node
//! and device, with the time from which they hold.
//!
//! A message may be delivered again after a newer birth. It must then give the same fields as the
//! first time. So several births of a source are kept, and a message uses the newest birth that is
//! not after it. A birth that teaches what its predecessor taught is not kept.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use thicket_schema::Timestamp;

/// Births of a source that are kept: the newest that differ from their predecessors.
const KEPT: usize = 8;

/// Limits of the births that are kept. Beyond them, no new birth is learnt, and data that follow it
/// have no birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BirthLimits {
    /// Maximum number of edge nodes and devices.
    pub max_sources: usize,
    /// Maximum number of metrics in a birth.
    pub max_metrics: usize,
    /// Maximum number of bytes in memory, over all births.
    pub max_bytes: usize,
}

impl Default for BirthLimits {
    fn default() -> Self {
        Self { max_sources: 20_000, max_metrics: 10_000, max_bytes: 64 << 20 }
    }
}

/// A change of the births, to store before the message that taught it is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BirthChange {
    /// The names of births that are no longer kept.
    pub forgotten: Vec<String>,
    /// The name of the new birth, and its bytes.
    pub learnt: (String, Vec<u8>),
}

/// The outcome of a birth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Learnt {
    /// It teaches what is known, or is older than all births that are kept.
    Known,
    New(BirthChange),
    /// A limit is reached. An empty birth takes its place, if there is an older one to end.
    Full(Option<BirthChange>),
}

/// A metric as its birth declares it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) alias: Option<u64>,
    pub(super) datatype: u32,
}

/// The metrics of a birth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Metrics {
    /// In the order of their names, each name once.
    declared: Vec<Declared>,
    /// Indices in `declared`, in the order of the aliases.
    aliases: Vec<(u64, u32)>,
}

impl Metrics {
    /// Of two metrics of one name, or one alias, the first counts.
    pub(super) fn new(mut declared: Vec<Declared>) -> Self {
        declared.sort_by(|a, b| a.name.cmp(&b.name));
        declared.dedup_by(|a, b| a.name == b.name);
        let indices = declared.iter().enumerate();
        let mut aliases: Vec<(u64, u32)> =
            indices.filter_map(|(index, metric)| Some((metric.alias?, index as u32))).collect();
        aliases.sort_unstable();
        aliases.dedup_by_key(|(alias, _)| *alias);
        Self { declared, aliases }
    }

    pub(super) fn by_alias(&self, alias: u64) -> Option<&Declared> {
        let at = self.aliases.binary_search_by_key(&alias, |(alias, _)| *alias).ok()?;
        self.declared.get(self.aliases[at].1 as usize)
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&Declared> {
        let at = self.declared.binary_search_by(|metric| metric.name.as_str().cmp(name)).ok()?;
        self.declared.get(at)
    }

    /// Estimates the memory that the metrics take, in bytes.
    fn bytes(&self) -> usize {
        const EACH: usize = size_of::<Declared>() + size_of::<(u64, u32)>() + 16;
        256 + self.declared.iter().map(|metric| EACH + metric.name.len()).sum::<usize>()
    }
}

#[derive(Debug)]
struct Birth {
    since: Timestamp,
    metrics: Metrics,
}

/// The births of all edge nodes and devices.
#[derive(Debug)]
pub(super) struct Births {
    limits: BirthLimits,
    /// For each source its births in the order of their times.
    sources: HashMap<Box<str>, Vec<Birth>>,
    bytes: usize,
}

/// A stored birth that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoredBirthError {
    /// Another build wrote it, or it is damaged.
    #[error("the stored birth {name} cannot be read; it is learnt again at the next birth")]
    Unreadable {
        /// The name of the stored birth.
        name: String,
    },
    /// A limit is reached.
    #[error("more births are stored than the limit allows; {name} is not used")]
    Full {
        /// The name of the stored birth.
        name: String,
    },
}

impl Births {
    pub(super) fn new(limits: BirthLimits) -> Self {
        Self { limits, sources: HashMap::new(), bytes: 0 }
    }

    pub(super) fn limits(&self) -> BirthLimits {
        self.limits
    }

    /// Returns the number of edge nodes and devices.
    pub(super) fn sources(&self) -> usize {
        self.sources.len()
    }

    /// Returns what the newest birth that is not after `at` taught. `None` as time means the newest
    /// of all.
    pub(super) fn find(&self, source: &str, at: Option<Timestamp>) -> Option<&Metrics> {
        let births = self.sources.get(source)?;
        let end = at.map_or(births.len(), |at| births.partition_point(|birth| birth.since <= at));
        births[..end].last().map(|birth| &birth.metrics)
    }

    /// Returns what the oldest birth that is kept taught.
    pub(super) fn oldest(&self, source: &str) -> Option<&Metrics> {
        self.sources.get(source)?.first().map(|birth| &birth.metrics)
    }

    /// Learns a birth. If it is before a known birth, the clock of the source was set back: later
    /// births are forgotten. Only a message that is delivered again may be late.
    pub(super) fn learn(
        &mut self,
        source: &str,
        since: Timestamp,
        metrics: Metrics,
        redelivered: bool,
    ) -> Learnt {
        let births = self.sources.get(source).map_or(&[][..], Vec::as_slice);
        let after = births.partition_point(|birth| birth.since <= since);
        let is_set_back = !redelivered && after < births.len();
        // It would be the first to leave again.
        let is_too_old = redelivered && after == 0 && births.len() == KEPT;
        if is_too_old || (!is_set_back && self.find(source, Some(since)) == Some(&metrics)) {
            return Learnt::Known;
        }
        // Before the birth is inserted, or it would be the first to leave if many are kept.
        let mut dropped = if is_set_back { self.truncate(source, after) } else { Vec::new() };
        let is_full = metrics.declared.len() > self.limits.max_metrics
            || !self.has_room(source, since, metrics.bytes());
        // An older birth would give wrong names to the data that follow this one. So an empty birth
        // ends it, and the data have no birth.
        let metrics = if is_full { Metrics::default() } else { metrics };
        if is_full {
            let has_ended = self.find(source, Some(since)).is_none_or(|known| *known == metrics);
            if has_ended && dropped.is_empty() {
                return Learnt::Full(None);
            }
            if !self.has_room(source, since, metrics.bytes()) {
                dropped.extend(self.truncate(source, 0));
            }
        }
        let bytes = encode(&metrics);
        dropped.extend(self.insert(source, since, metrics));
        let forgotten: Vec<String> = dropped
            .into_iter()
            .filter(|dropped| *dropped != since)
            .map(|since| name(source, since))
            .collect();
        let change = BirthChange { forgotten, learnt: (name(source, since), bytes) };
        if is_full { Learnt::Full(Some(change)) } else { Learnt::New(change) }
    }

    /// Adds a birth that was stored under a name.
    pub(super) fn restore(&mut self, stored: &str, bytes: &[u8]) -> Result<(), StoredBirthError> {
        let unreadable = || StoredBirthError::Unreadable { name: stored.to_owned() };
        let (source, since) = stored.rsplit_once('@').ok_or_else(unreadable)?;
        let since = Timestamp(since.parse().map_err(|_| unreadable())?);
        let metrics = decode(bytes).ok_or_else(unreadable)?;
        if !self.has_room(source, since, metrics.bytes()) {
            return Err(StoredBirthError::Full { name: stored.to_owned() });
        }
        self.insert(source, since, metrics);
        Ok(())
    }

    /// Whether a birth of this size can be inserted. The room of a birth that leaves for it counts.
    fn has_room(&self, source: &str, since: Timestamp, bytes: usize) -> bool {
        let Some(births) = self.sources.get(source) else {
            return self.sources.len() < self.limits.max_sources
                && self.bytes + bytes <= self.limits.max_bytes;
        };
        let at_same_time = births.iter().find(|birth| birth.since == since);
        let leaving = at_same_time.or(births.first().filter(|_| births.len() >= KEPT));
        self.bytes + bytes <= self.limits.max_bytes + leaving.map_or(0, |birth| birth.metrics.bytes())
    }

    /// Inserts a birth at its time, in place of one at the same time. Returns the times of the
    /// births that leave for it.
    fn insert(&mut self, source: &str, since: Timestamp, metrics: Metrics) -> Vec<Timestamp> {
        self.bytes += metrics.bytes();
        let births = self.sources.entry(source.into()).or_default();
        let at = births.partition_point(|birth| birth.since < since);
        let mut dropped = Vec::new();
        if births.get(at).is_some_and(|birth| birth.since == since) {
            dropped.push(births.remove(at));
        }
        births.insert(at, Birth { since, metrics });
        if births.len() > KEPT {
            dropped.push(births.remove(0));
        }
        self.bytes -= dropped.iter().map(|birth| birth.metrics.bytes()).sum::<usize>();
        dropped.iter().map(|birth| birth.since).collect()
    }

    /// Forgets the births from an index on. Returns their times.
    fn truncate(&mut self, source: &str, from: usize) -> Vec<Timestamp> {
        let Some(births) = self.sources.get_mut(source) else { return Vec::new() };
        let dropped: Vec<Birth> = births.drain(from..).collect();
        self.bytes -= dropped.iter().map(|birth| birth.metrics.bytes()).sum::<usize>();
        dropped.iter().map(|birth| birth.since).collect()
    }
}

/// Returns the name under which a birth is stored.
fn name(source: &str, since: Timestamp) -> String {
    format!("{source}@{}", since.0)
}

/// The first byte of a stored birth.
const VERSION: u8 = 1;

fn encode(metrics: &Metrics) -> Vec<u8> {
    // Strings and numbers can always be written.
    postcard::to_extend(&metrics.declared, vec![VERSION]).unwrap_or_default()
}

fn decode(bytes: &[u8]) -> Option<Metrics> {
    let (&VERSION, bytes) = bytes.split_first()? else { return None };
    let (declared, rest): (Vec<Declared>, &[u8]) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then(|| Metrics::new(declared))
}

#[cfg(test)]
mod tests;
