//! The property that the fuzzers check: decoding any bytes gives errors, or readings within the
//! limits; the same bytes give the same again.
//!
//! libFuzzer and the driver in `mutate.rs` call the same function. [`seeds`] are the inputs to start
//! with.

mod seeds;

use thicket_codecs::formats::sparkplug::{BirthLimits, SparkplugDecoder, SparkplugRules, SparkplugTopic};
use thicket_codecs::payload::CsvRules;
use thicket_codecs::{Format, FormatDecoder, Measurement, PayloadError, PayloadLimits, PayloadRules};
use thicket_schema::Timestamp;

pub use seeds::seeds;

/// A format that is fuzzed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A format of the configuration.
    Format(Format),
    /// gzip and zstd around the formats that are recognised.
    Compressed,
    /// Births and data of Sparkplug B.
    Sparkplug,
}

/// All formats.
pub const FAMILIES: [Family; 10] = [
    Family::Format(Format::Auto),
    Family::Format(Format::Json),
    Family::Format(Format::JsonLines),
    Family::Format(Format::Csv),
    Family::Format(Format::Senml),
    Family::Format(Format::Cbor),
    Family::Format(Format::Messagepack),
    Family::Format(Format::LineProtocol),
    Family::Compressed,
    Family::Sparkplug,
];

/// Topics of Sparkplug; the first byte of an input chooses.
const TOPICS: [&str; 4] =
    ["spBv1.0/g/NBIRTH/n", "spBv1.0/g/NDATA/n", "spBv1.0/g/DBIRTH/n/d", "spBv1.0/g/DDATA/n/d"];
const LIMITS: PayloadLimits =
    PayloadLimits { max_bytes: 4_096, max_fields: 8, max_readings: 10, max_depth: 8 };
const BIRTH_LIMITS: BirthLimits = BirthLimits { max_sources: 4, max_metrics: 20, max_bytes: 20_000 };
/// Restarts of the decoder of Sparkplug: after this number of inputs, it forgets its births.
const RESTART: u64 = 1_000;

type Outcome = Result<Vec<Result<Measurement, PayloadError>>, PayloadError>;

/// The decoders of a family.
pub struct Target {
    family: Family,
    /// By the default rules, and by others.
    decoders: Vec<FormatDecoder>,
    sparkplug: SparkplugDecoder,
    rules: SparkplugRules,
    inputs: u64,
}

impl Target {
    /// Creates the decoders.
    pub fn new(family: Family) -> Self {
        let format = match family {
            Family::Format(format) => format,
            Family::Compressed | Family::Sparkplug => Format::Auto,
        };
        let csv = CsvRules { columns: ["ts", "a", "b"].map(str::to_owned).into(), separator: b',' };
        let plain = PayloadRules { csv: csv.clone(), ..PayloadRules::default() };
        let other = PayloadRules {
            csv,
            root: "r.s".to_owned(),
            include: vec!["a*".to_owned(), "b".to_owned()],
            exclude: vec!["*c".to_owned()],
            decimal_comma: true,
            ..PayloadRules::default()
        };
        let devices = PayloadRules { device_keys: true, ..plain.clone() };
        let keys = || vec!["ts".to_owned(), "r.time".to_owned()];
        let decoder = |rules| FormatDecoder::new(format, LIMITS, keys()).with_rules(&rules);
        let decoders = [plain, other, devices].map(decoder).into();
        let sparkplug = SparkplugDecoder::new(BIRTH_LIMITS);
        let rules = SparkplugRules::new(LIMITS, PayloadRules::default());
        Self { family, decoders, sparkplug, rules, inputs: 0 }
    }

    /// Decodes an input. Returns whether it gave a reading.
    ///
    /// # Panics
    /// If the property does not hold.
    pub fn check(&mut self, payload: &[u8]) -> bool {
        self.inputs += 1;
        if self.family == Family::Sparkplug {
            return self.check_sparkplug(payload);
        }
        let mut has_reading = false;
        for decoder in &self.decoders {
            let outcome = decoder.decode("sensors/a", payload);
            has_reading |= check(&outcome);
            assert_eq!(decoder.decode("sensors/a", payload), outcome, "the same bytes, the same readings");
        }
        has_reading
    }

    fn check_sparkplug(&mut self, payload: &[u8]) -> bool {
        if self.inputs.is_multiple_of(RESTART) {
            self.sparkplug.clear();
        }
        let Some((choice, payload)) = payload.split_first() else { return false };
        let topic = TOPICS[usize::from(*choice) % TOPICS.len()];
        let topic = SparkplugTopic::parse(topic).expect("it is a topic of Sparkplug");
        let now = Timestamp(1_795_345_200_000_000);
        let decoded = self.sparkplug.decode(&self.rules, &topic, payload, *choice > 127, now);
        if let Some(change) = &decoded.birth {
            let mut restored = SparkplugDecoder::new(BIRTH_LIMITS);
            let (name, bytes) = &change.learnt;
            restored.restore(name, bytes).expect("a birth that was learnt can be restored");
        }
        let outcome = decoded.elements;
        let again = self.sparkplug.decode(&self.rules, &topic, payload, true, now);
        assert_eq!(again.elements, outcome, "the same bytes, the same readings");
        assert_eq!(again.birth, None, "a birth teaches once");
        check(&outcome)
    }
}

fn check(outcome: &Outcome) -> bool {
    let Ok(elements) = outcome else { return false };
    assert!(elements.len() <= LIMITS.max_readings);
    let readings = elements.iter().flatten();
    for reading in readings.clone() {
        assert_eq!(reading.fields.len(), reading.values.len());
        assert!((1..=LIMITS.max_fields).contains(&reading.values.len()));
        assert!(reading.values.iter().all(|value| value.is_finite()));
        assert!(reading.ts.is_none_or(|ts| ts.0 >= 0));
    }
    readings.count() > 0
}
