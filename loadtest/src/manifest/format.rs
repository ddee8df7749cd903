//! The bytes of a manifest. All integers are little-endian. The magic bytes keep the format's
//! first name.
//!
//! | part | bytes |
//! |---|---|
//! | file header | `TKLEDGER`, version `u32` |
//! | record | length of the body `u32`, low half of its XXH3 `u32`, body |
//! | body | kind `u8`, then: |
//! | 0 sensor | index `u32`, period in µs `i64`, name, topic, number of fields `u16`, their names |
//! | 1 message | disposition `u8`, sensor's index `u32`, number of readings `u32`, the readings |
//! | 2 malformed message | topic, payload |
//! | 3 clock | wall clock in µs `i64`, taken after the records before it were confirmed |
//!
//! A reading is its event time in µs `i64` and the bits of each value `u64`. A text or a payload is
//! its length in bytes `u32` and its bytes.

use xxhash_rust::xxh3::xxh3_64;

pub(super) const MAGIC: &[u8; 8] = b"TKLEDGER";
pub(super) const VERSION: u32 = 1;
/// The bytes of length and checksum before each body.
pub(super) const PREFIX_BYTES: usize = 8;
/// The longest body. A greater length means that the file is damaged.
pub(super) const MAX_BODY_BYTES: usize = 1 << 26;

/// Why a message was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// The first publication of its readings, in order.
    Plain,
    /// A copy, published on purpose right after the original.
    Duplicate,
    /// Published on purpose after newer readings of its sensor.
    Late,
}

/// A reading that was published.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishedReading {
    /// Event time in µs since the Unix epoch.
    pub ts: i64,
    /// The values, in the order of the sensor's fields.
    pub values: Vec<f64>,
}

/// The description of a sensor. It stands before the sensor's first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SensorRecord {
    /// The number by which later records of this manifest refer to the sensor.
    pub index: u32,
    /// Time between two readings, in µs.
    pub period_micros: i64,
    /// The sensor's name, as stored in PostgreSQL.
    pub name: String,
    /// The topic of its messages.
    pub topic: String,
    /// The names of its fields, sorted.
    pub fields: Vec<String>,
}

/// One record of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// Describes a sensor.
    Sensor(SensorRecord),
    /// The broker confirmed a message with readings.
    Message {
        /// Why it was published.
        disposition: Disposition,
        /// The index of the sensor.
        sensor: u32,
        /// The readings of the message.
        readings: Vec<PublishedReading>,
    },
    /// The broker confirmed a malformed message.
    Malformed {
        /// The topic of the message.
        topic: String,
        /// The payload of the message.
        payload: Vec<u8>,
    },
    /// The wall clock in µs since the Unix epoch. Written about once a second.
    Clock(i64),
}

/// Encodes the body of a record into a reused buffer.
#[derive(Default)]
pub(super) struct Body(Vec<u8>);

impl Body {
    pub(super) fn sensor(&mut self, sensor: &SensorRecord) -> &mut Self {
        self.start(0);
        self.0.extend(sensor.index.to_le_bytes());
        self.0.extend(sensor.period_micros.to_le_bytes());
        self.bytes(sensor.name.as_bytes());
        self.bytes(sensor.topic.as_bytes());
        self.0.extend((sensor.fields.len() as u16).to_le_bytes());
        for field in &sensor.fields {
            self.bytes(field.as_bytes());
        }
        self
    }

    pub(super) fn message<'a>(
        &mut self,
        disposition: Disposition,
        sensor: u32,
        readings: impl ExactSizeIterator<Item = (i64, &'a [f64])>,
    ) -> &mut Self {
        self.start(1);
        self.0.push(match disposition {
            Disposition::Plain => 0,
            Disposition::Duplicate => 1,
            Disposition::Late => 2,
        });
        self.0.extend(sensor.to_le_bytes());
        self.0.extend((readings.len() as u32).to_le_bytes());
        for (ts, values) in readings {
            self.0.extend(ts.to_le_bytes());
            for value in values {
                self.0.extend(value.to_bits().to_le_bytes());
            }
        }
        self
    }

    pub(super) fn malformed(&mut self, topic: &str, payload: &[u8]) -> &mut Self {
        self.start(2);
        self.bytes(topic.as_bytes());
        self.bytes(payload);
        self
    }

    pub(super) fn clock(&mut self, micros: i64) -> &mut Self {
        self.start(3);
        self.0.extend(micros.to_le_bytes());
        self
    }

    /// Returns the prefix (length and checksum) and the body.
    pub(super) fn framed(&self) -> ([u8; PREFIX_BYTES], &[u8]) {
        let mut prefix = [0; PREFIX_BYTES];
        prefix[..4].copy_from_slice(&(self.0.len() as u32).to_le_bytes());
        prefix[4..].copy_from_slice(&checksum(&self.0).to_le_bytes());
        (prefix, &self.0)
    }

    fn start(&mut self, kind: u8) {
        self.0.clear();
        self.0.push(kind);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend((bytes.len() as u32).to_le_bytes());
        self.0.extend(bytes);
    }
}

pub(super) fn checksum(body: &[u8]) -> u32 {
    xxh3_64(body) as u32
}

/// Decodes a body whose checksum is right. `width_of` returns the number of values per reading of a
/// sensor that was described before.
pub(super) fn decode(body: &[u8], width_of: impl Fn(u32) -> Option<usize>) -> Result<Record, &'static str> {
    let mut cursor = Cursor(body);
    let record = match cursor.u8()? {
        0 => Record::Sensor(SensorRecord {
            index: cursor.u32()?,
            period_micros: cursor.i64()?,
            name: cursor.text()?,
            topic: cursor.text()?,
            fields: (0..cursor.u16()?).map(|_| cursor.text()).collect::<Result<_, _>>()?,
        }),
        1 => {
            let disposition = match cursor.u8()? {
                0 => Disposition::Plain,
                1 => Disposition::Duplicate,
                2 => Disposition::Late,
                _ => return Err("unknown disposition"),
            };
            let sensor = cursor.u32()?;
            let width = width_of(sensor).ok_or("a message of an unknown sensor")?;
            let readings = (0..cursor.u32()?)
                .map(|_| {
                    let ts = cursor.i64()?;
                    let values = (0..width).map(|_| Ok(f64::from_bits(cursor.i64()? as u64)));
                    Ok(PublishedReading { ts, values: values.collect::<Result<_, &'static str>>()? })
                })
                .collect::<Result<_, &'static str>>()?;
            Record::Message { disposition, sensor, readings }
        }
        2 => Record::Malformed { topic: cursor.text()?, payload: cursor.bytes()?.to_vec() },
        3 => Record::Clock(cursor.i64()?),
        _ => return Err("unknown kind of record"),
    };
    if cursor.0.is_empty() { Ok(record) } else { Err("a record has bytes left over") }
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("a record is too short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        self.take(N)?.try_into().map_err(|_| "a record is too short")
    }

    fn u8(&mut self) -> Result<u8, &'static str> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, &'static str> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, &'static str> {
        self.array().map(u32::from_le_bytes)
    }

    fn i64(&mut self) -> Result<i64, &'static str> {
        self.array().map(i64::from_le_bytes)
    }

    fn bytes(&mut self) -> Result<&'a [u8], &'static str> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    fn text(&mut self) -> Result<String, &'static str> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| "a text is not UTF-8")
    }
}
