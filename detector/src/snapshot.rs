//! A detector's whole state as bytes: versioned, checksummed, and continued bit-identically.

use rrcf_rs::Forest;
use xxhash_rust::xxh3::xxh3_64;

use crate::config::{DetectorConfig, MAX_FIELDS};
use crate::detector::{Detector, State};
use crate::event::Open;
use crate::grade::Calibration;
use crate::model::Model;
use crate::scale::{OPENING, Scale};
use crate::tail::Tail;
use crate::wire::{Reader, Writer};

const MAGIC: u32 = u32::from_le_bytes(*b"TKDT");
const VERSION: u16 = 1;
const CHECKSUM_BYTES: usize = 8;

/// A snapshot that cannot be continued.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// It was made with another configuration.
    #[error("the snapshot was made with configuration {found:016x}, the sensor's is {expected:016x}")]
    ConfigChanged {
        /// Fingerprint in the snapshot.
        found: u64,
        /// Fingerprint of the configuration.
        expected: u64,
    },
    /// A later version of this crate made it.
    #[error("the snapshot has version {found}, this program knows up to {newest}; update it")]
    TooNew {
        /// Version of the snapshot.
        found: u16,
        /// Newest version that can be read.
        newest: u16,
    },
    /// It is not a snapshot, or not as it was written.
    #[error("the snapshot is damaged")]
    Damaged,
}

impl Detector {
    /// The whole state. Its size is that of the forest's snapshot and a few KB.
    pub fn snapshot(&self) -> Vec<u8> {
        let state = &self.state;
        let mut w = Writer::default();
        w.u32(MAGIC);
        w.u16(VERSION);
        w.u64(self.config.fingerprint());
        w.u64(state.seq);
        w.u64(state.learnt);
        w.u8(u8::from(state.newest.is_some()));
        w.i64(state.newest.unwrap_or(0));
        w.u32(state.warm_up);
        w.varint(state.fields.len() as u64);
        for field in &state.fields {
            w.bytes(field.as_bytes());
        }
        w.varint(state.opening.len() as u64);
        for &value in &state.opening {
            w.f64(value);
        }
        for tail in &state.calibration.measures {
            write_tail(&mut w, tail);
        }
        w.u32(state.calibration.disturbed);
        w.u8(u8::from(state.event.is_some()));
        if let Some(event) = &state.event {
            write_event(&mut w, event);
        }
        w.u8(u8::from(state.model.is_some()));
        if let Some(model) = &state.model {
            write_model(&mut w, model);
        }
        let checksum = xxh3_64(w.written());
        w.u64(checksum);
        w.finish()
    }

    /// A detector that continues, bit for bit, where the snapshot was taken.
    ///
    /// # Errors
    /// See [`RestoreError`]. Damaged or hostile bytes neither panic nor ask for much memory.
    pub fn restore(sensor: &str, config: &DetectorConfig, bytes: &[u8]) -> Result<Self, RestoreError> {
        let split = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or(RestoreError::Damaged)?;
        let (content, checksum) = bytes.split_at(split);
        if checksum != xxh3_64(content).to_le_bytes() {
            return Err(RestoreError::Damaged);
        }
        let mut r = Reader::new(content);
        if r.u32() != Some(MAGIC) {
            return Err(RestoreError::Damaged);
        }
        let version = r.u16().ok_or(RestoreError::Damaged)?;
        if version > VERSION {
            return Err(RestoreError::TooNew { found: version, newest: VERSION });
        }
        let (found, expected) = (r.u64().ok_or(RestoreError::Damaged)?, config.fingerprint());
        if found != expected {
            return Err(RestoreError::ConfigChanged { found, expected });
        }
        let state = read_state(&mut r, config).ok_or(RestoreError::Damaged)?;
        Ok(Self::with_state(sensor, config, state))
    }
}

fn read_state(r: &mut Reader<'_>, config: &DetectorConfig) -> Option<State> {
    let (seq, learnt) = (r.u64()?, r.u64()?);
    let (has_newest, newest) = (r.u8()? == 1, r.i64()?);
    let warm_up = r.u32()?;
    let fields: Vec<String> = (0..r.count()?).map(|_| r.text()).collect::<Option<_>>()?;
    if fields.len() > MAX_FIELDS {
        return None;
    }
    let opening: Vec<f64> = (0..r.count()?).map(|_| r.f64()).collect::<Option<_>>()?;
    let measures = [read_tail(r)?, read_tail(r)?, read_tail(r)?];
    let calibration = Calibration { measures, disturbed: r.u32()? };
    let event = if r.u8()? == 1 { Some(read_event(r, fields.len())?) } else { None };
    let model = if r.u8()? == 1 { Some(read_model(r, config, fields.len())?) } else { None };
    r.end()?;
    let opening_is_whole = match model {
        Some(_) => opening.is_empty() && learnt >= OPENING as u64,
        None => {
            learnt < OPENING as u64 && (learnt == 0 || opening.len() as u64 == learnt * fields.len() as u64)
        }
    };
    let newest = has_newest.then_some(newest);
    opening_is_whole.then_some(State {
        seq,
        learnt,
        newest,
        warm_up,
        fields,
        opening,
        model,
        calibration,
        event,
    })
}

fn write_tail(w: &mut Writer, tail: &Tail) {
    w.varint(tail.counts().len() as u64);
    for &count in tail.counts() {
        w.varint(u64::from(count));
    }
}

fn read_tail(r: &mut Reader<'_>) -> Option<Tail> {
    let counts = (0..r.count()?).map(|_| u32::try_from(r.varint()?).ok()).collect::<Option<Vec<u32>>>()?;
    Tail::from_counts(counts)
}

fn write_event(w: &mut Writer, event: &Open) {
    w.i64(event.started);
    w.i64(event.last);
    w.i64(event.peak_at);
    w.f64(event.peak_score);
    w.f64(event.peak_grade);
    w.u32(event.readings);
    for &contribution in &event.contributions {
        w.f64(contribution);
    }
}

fn read_event(r: &mut Reader<'_>, fields: usize) -> Option<Open> {
    Some(Open {
        started: r.i64()?,
        last: r.i64()?,
        peak_at: r.i64()?,
        peak_score: r.f64()?,
        peak_grade: r.f64()?,
        readings: r.u32()?,
        contributions: (0..fields).map(|_| r.f64()).collect::<Option<_>>()?,
    })
}

fn write_model(w: &mut Writer, model: &Model) {
    for scale in &model.scales {
        for value in
            [scale.offset, scale.unit, scale.mean, scale.variance, scale.restless, scale.last, scale.held]
        {
            w.f64(value);
        }
    }
    for &weight in &model.weights {
        w.f32(weight);
    }
    w.bytes(&model.forest.snapshot());
}

fn read_model(r: &mut Reader<'_>, config: &DetectorConfig, fields: usize) -> Option<Model> {
    let read_scale = |r: &mut Reader<'_>| {
        Some(Scale {
            offset: r.f64()?,
            unit: r.f64()?,
            mean: r.f64()?,
            variance: r.f64()?,
            restless: r.f64()?,
            last: r.f64()?,
            held: r.f64()?,
        })
    };
    let scales: Vec<Scale> = (0..fields).map(|_| read_scale(r)).collect::<Option<_>>()?;
    let weights: Vec<f32> = (0..fields).map(|_| r.f32()).collect::<Option<_>>()?;
    let forest = Forest::restore(r.bytes()?).ok()?;
    let fits = forest.dimensions() == fields
        && forest.trees() == config.trees
        && forest.window() == config.window
        && forest.shingle() == config.shingle;
    fits.then(|| Model::new(forest, scales, weights))
}
