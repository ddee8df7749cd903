//! The bytes of a ledger. All integers are little-endian.
//!
//! | part | bytes |
//! |---|---|
//! | file header | `TKLEDGER`, version `u32` |
//! | record | length of the body `u32`, low half of its XXH3 `u32`, body |
//! | body | kind `u8`, then: |
//! | 0 sensor | index `u32`, period in µs `i64`, name, topic, number of fields `u16`, their names |
//! | 1 message | disposition `u8`, sensor's index `u32`, readings `u32`; per reading ts `i64` and the bits of each value `u64` |
//! | 2 malformed message | topic, payload |
//! | 3 clock | wall clock in µs `i64`: when what stands before it was on its way to disk |
//!
//! A text or payload is its length (`u32`) and its bytes.

use xxhash_rust::xxh3::xxh3_64;

pub(super) const MAGIC: &[u8; 8] = b"TKLEDGER";
pub(super) const VERSION: u32 = 1;
/// Length and checksum before each body.
pub(super) const PREFIX_BYTES: usize = 8;
/// No record is longer: a length above this is damage, not a record.
pub(super) const MAX_BODY_BYTES: usize = 1 << 26;

/// Why a message was published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// In its turn, once.
    Plain,
    /// Again, on purpose, after its original.
    Duplicate,
    /// After newer readings of its sensor, on purpose.
    Late,
}

/// A reading as it was published.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredReading {
    /// µs since the Unix epoch.
    pub ts: i64,
    /// In the order of the sensor's fields.
    pub values: Vec<f64>,
}

/// What is said once of each sensor, before its first message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SensorRecord {
    /// How later records of this ledger refer to it.
    pub index: u32,
    /// Time between two of its readings, in µs.
    pub period_micros: i64,
    /// Its name, as stored in `PostgreSQL`.
    pub name: String,
    /// The topic it publishes to.
    pub topic: String,
    /// The names of its values, sorted.
    pub fields: Vec<String>,
}

/// One record of a ledger.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A sensor appears.
    Sensor(SensorRecord),
    /// A message with readings was confirmed.
    Message {
        /// Why it was published.
        disposition: Disposition,
        /// Whose it is.
        sensor: u32,
        /// What it carried.
        readings: Vec<StoredReading>,
    },
    /// A message that cannot be understood was confirmed.
    Malformed {
        /// Where it was published.
        topic: String,
        /// What it carried.
        payload: Vec<u8>,
    },
    /// The wall clock, from time to time.
    Clock(i64),
}

/// Builds the body of a record in a reused buffer.
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

    /// The prefix and the body.
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

/// Decodes a body whose checksum was right. `width` gives the number of values of a sensor that was seen before.
pub(super) fn decode(body: &[u8], width: impl Fn(u32) -> Option<usize>) -> Result<Record, &'static str> {
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
            let width = width(sensor).ok_or("a message of an unknown sensor")?;
            let readings = (0..cursor.u32()?)
                .map(|_| {
                    let ts = cursor.i64()?;
                    let values = (0..width).map(|_| Ok(f64::from_bits(cursor.i64()? as u64)));
                    Ok(StoredReading { ts, values: values.collect::<Result<_, &'static str>>()? })
                })
                .collect::<Result<_, &'static str>>()?;
            Record::Message { disposition, sensor, readings }
        }
        2 => Record::Malformed { topic: cursor.text()?, payload: cursor.bytes()?.to_vec() },
        3 => Record::Clock(cursor.i64()?),
        _ => return Err("unknown kind of record"),
    };
    if cursor.0.is_empty() { Ok(record) } else { Err("bytes left over in a record") }
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
