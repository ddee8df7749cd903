use proptest::prelude::*;

use super::*;

/// 2026-11-22T10:00:00Z, in milliseconds.
const T0: u64 = 1_795_341_600_000;
const NBIRTH: &str = "spBv1.0/plant/NBIRTH/edge";
const NDATA: &str = "spBv1.0/plant/NDATA/edge";
const DBIRTH: &str = "spBv1.0/plant/DBIRTH/edge/press";
const DDATA: &str = "spBv1.0/plant/DDATA/edge/press";

fn decoder() -> SparkplugDecoder {
    SparkplugDecoder::new(BirthLimits::default())
}

fn rules() -> SparkplugRules {
    let limits = PayloadLimits { max_bytes: 65_536, max_fields: 8, max_readings: 100, max_depth: 8 };
    SparkplugRules::new(limits, PayloadRules::default())
}

fn double(name: Option<&str>, alias: Option<u64>, value: f64) -> Metric {
    Metric {
        name: name.map(str::to_owned),
        alias,
        value: Some(MetricValue::Double(value)),
        ..Metric::default()
    }
}

/// A metric of a birth.
fn declared(name: &str, alias: u64, datatype: u32, value: Option<MetricValue>) -> Metric {
    let is_null = value.is_none().then_some(true);
    Metric {
        name: Some(name.to_owned()),
        alias: Some(alias),
        datatype: Some(datatype),
        value,
        is_null,
        ..Metric::default()
    }
}

fn at(metric: Metric, millis: u64) -> Metric {
    Metric { timestamp: Some(millis), ..metric }
}

fn payload(millis: u64, seq: u64, metrics: Vec<Metric>) -> Vec<u8> {
    Payload { timestamp: Some(millis), metrics, seq: Some(seq) }.encode_to_vec()
}

fn send(decoder: &mut SparkplugDecoder, topic: &str, payload: &[u8]) -> Decoded {
    let topic = SparkplugTopic::parse(topic).unwrap();
    decoder.decode(&rules(), &topic, payload, false, Timestamp(T0 as i64 * 1_000 + 60_000_000))
}

/// Shows each reading as `seconds field=value ...`.
fn show(decoded: &Decoded) -> Vec<String> {
    let elements = match &decoded.elements {
        Ok(elements) => elements,
        Err(error) => return vec![error.to_string()],
    };
    let show = |element: &Result<Measurement, PayloadError>| match element {
        Err(error) => error.to_string(),
        Ok(measurement) => {
            let time = measurement
                .ts
                .map_or("arrival".to_owned(), |ts| ((ts.0 + 999) / 1_000 - T0 as i64).to_string());
            let names = measurement.fields.names().iter();
            let fields = names.zip(&measurement.values).map(|(name, value)| format!(" {name}={value}"));
            time + &fields.collect::<String>()
        }
    };
    elements.iter().map(show).collect()
}

#[test]
fn data_of_the_millisecond_of_a_birth_follow_it() {
    let mut decoder = decoder();
    let value = Some(MetricValue::Double(21.5));
    let birth = payload(T0, 0, vec![declared("temp", 1, DataType::Double as u32, value)]);
    let time_of = |decoded: Decoded| decoded.elements.unwrap().remove(0).unwrap().ts.unwrap();
    let born = time_of(send(&mut decoder, DBIRTH, &birth));
    let data = payload(T0, 1, vec![double(None, Some(1), 21.7)]);
    assert!(born < time_of(send(&mut decoder, DDATA, &data)));
}

#[test]
fn births_name_the_metrics_of_later_data() {
    let mut decoder = decoder();
    let birth = payload(
        T0,
        0,
        vec![
            declared("bdSeq", 0, 4, Some(MetricValue::Long(3))),
            declared("Node Control/Rebirth", 1, 11, Some(MetricValue::Boolean(false))),
            declared("Motor/Speed", 2, 3, Some(MetricValue::Int(1_500))),
            declared("Motor/Offset", 3, 1, Some(MetricValue::Int(0xffff_fffb))),
            declared("Running", 4, 11, Some(MetricValue::Boolean(true))),
            declared("Firmware", 5, 12, None),
            declared("Ambient", 6, 9, None),
        ],
    );
    let decoded = send(&mut decoder, NBIRTH, &birth);
    assert_eq!(show(&decoded), ["0 Motor/Offset=-5 Motor/Speed=1500 Running=1"]);
    let change = decoded.birth.unwrap();
    assert_eq!((change.learnt.0.as_str(), change.forgotten.len()), ("plant/edge@1795341600000000", 0));
    assert_eq!(decoder.sources(), 1);

    let by_alias = |alias, value| Metric { alias: Some(alias), value: Some(value), ..Metric::default() };
    let data = payload(
        T0 + 5_000,
        1,
        vec![
            by_alias(2, MetricValue::Int(1_480)),
            by_alias(3, MetricValue::Int(0xfe)),
            by_alias(6, MetricValue::Float(20.5)),
            by_alias(4, MetricValue::Boolean(false)),
            by_alias(1, MetricValue::Boolean(true)),
        ],
    );
    let decoded = send(&mut decoder, NDATA, &data);
    assert_eq!(show(&decoded), ["5000 Ambient=20.5 Motor/Offset=-2 Motor/Speed=1480 Running=0"]);
    assert_eq!((decoded.birth, decoded.request), (None, None));
}

#[test]
fn metrics_of_one_time_are_one_reading_and_historical_ones_have_their_own() {
    let mut decoder = decoder();
    let stale = at(declared("a", 1, 10, Some(MetricValue::Double(1.0))), T0 - 9_000);
    let historical = Metric {
        is_historical: Some(true),
        ..at(declared("b", 2, 10, Some(MetricValue::Double(0.5))), T0 - 7_000)
    };
    let birth = payload(T0, 0, vec![stale, declared("b", 2, 10, Some(MetricValue::Double(2.0))), historical]);
    assert_eq!(show(&send(&mut decoder, DBIRTH, &birth)), ["-7000 b=0.5", "0 a=1 b=2"]);
    let data = payload(
        T0 + 3_000,
        1,
        vec![
            at(double(None, Some(1), 1.5), T0 + 1_000),
            at(double(None, Some(2), 2.5), T0 + 1_000),
            at(double(None, Some(1), 1.6), T0 + 2_000),
            double(None, Some(2), 2.6),
        ],
    );
    assert_eq!(show(&send(&mut decoder, DDATA, &data)), ["1000 a=1.5 b=2.5", "2000 a=1.6", "3000 b=2.6"]);
}

#[test]
fn data_before_a_birth_ask_for_one() {
    let mut decoder = decoder();
    let data = payload(T0, 7, vec![double(None, Some(2), 1.0), double(Some("named"), None, 2.0)]);
    let decoded = send(&mut decoder, DDATA, &data);
    let shown = show(&decoded);
    assert_eq!(shown[0], "0 named=2");
    assert!(shown[1].contains("alias 2 is unknown: no birth certificate of plant/edge/press"), "{shown:?}");
    let request = decoded.request.unwrap();
    assert_eq!(request.topic, "spBv1.0/plant/NCMD/edge");
    let command = Payload::decode(request.payload.as_slice()).unwrap();
    assert_eq!(command.metrics[0].name.as_deref(), Some("Node Control/Rebirth"));
    assert_eq!(command.metrics[0].value, Some(MetricValue::Boolean(true)));
    let again = payload(T0, 8, vec![double(None, Some(2), 1.0)]);
    assert_eq!(send(&mut decoder, DDATA, &again).request, None, "requests are limited");
}

#[test]
fn data_that_are_older_than_their_birth_are_unknown_unless_they_are_historical() {
    let mut decoder = decoder();
    send(&mut decoder, DBIRTH, &payload(T0, 0, vec![declared("a", 1, 10, None)]));
    let data = |metric| payload(T0 - 1, 1, vec![metric]);
    let shown = show(&send(&mut decoder, DDATA, &data(double(None, Some(1), 1.0))));
    assert!(shown[0].contains("no birth certificate"), "{shown:?}");
    let historical = Metric { is_historical: Some(true), ..double(None, Some(1), 1.0) };
    assert_eq!(show(&send(&mut decoder, DDATA, &data(historical))), ["-1 a=1"]);
}

#[test]
fn a_gap_in_the_count_asks_for_a_birth_and_keeps_the_reading() {
    let mut decoder = decoder();
    send(&mut decoder, NBIRTH, &payload(T0, 0, vec![declared("a", 1, 10, None)]));
    let decoded = send(&mut decoder, NDATA, &payload(T0 + 1_000, 5, vec![double(None, Some(1), 1.0)]));
    assert_eq!(show(&decoded), ["1000 a=1"]);
    assert!(decoded.request.is_some());
}

#[test]
fn an_alias_with_another_type_is_of_another_birth() {
    let mut decoder = decoder();
    send(&mut decoder, NBIRTH, &payload(T0, 0, vec![declared("a", 1, 3, None)]));
    let shown = show(&send(&mut decoder, NDATA, &payload(T0, 1, vec![double(None, Some(1), 1.0)])));
    assert!(shown[0].contains("has another datatype"), "{shown:?}");
}

#[test]
fn what_is_no_number_is_left_out_with_its_name() {
    let mut decoder = decoder();
    let kinds = [
        (12, "a text"),
        (16, "a dataset"),
        (17, "bytes"),
        (18, "a file"),
        (19, "a template"),
        (15, "a UUID"),
    ];
    let metrics = kinds.iter().map(|(datatype, kind)| Metric {
        is_null: None,
        ..declared(kind, u64::from(*datatype), *datatype, None)
    });
    let large = declared("large", 90, 8, Some(MetricValue::Long(u64::MAX)));
    let birth = payload(T0, 0, metrics.chain([large]).collect());
    let topic = SparkplugTopic::parse(NBIRTH).unwrap();
    let (decoded, left_out) =
        decoder.decode_explained(&rules(), &topic, &birth, false, Timestamp(T0 as i64 * 1_000));
    assert_eq!(
        show(&decoded),
        ["the object has no numeric member: a text is a text, which is no measurement; \
          a dataset is a dataset, which is no measurement; bytes is bytes, which is no measurement; \
          a file is a file, which is no measurement; and 3 more"]
    );
    assert!(decoded.birth.is_some(), "the birth is learnt");
    let left_out: Vec<String> = left_out.iter().map(ToString::to_string).collect();
    for ((_, kind), left_out) in kinds.iter().zip(&left_out) {
        assert_eq!(*left_out, format!("{kind} is {kind}, which is no measurement"));
    }
    assert!(left_out[6].starts_with("large is a whole number of too many digits"), "{left_out:?}");
    // A text that changes is no error.
    let data = payload(T0, 1, vec![Metric { alias: Some(12), ..Metric::default() }]);
    assert_eq!(show(&send(&mut decoder, NDATA, &data)), [""; 0]);
    let data = payload(T0, 2, vec![Metric { alias: Some(19), ..Metric::default() }]);
    let said = "the object has no numeric member: a template is a template, which is no measurement";
    assert_eq!(show(&send(&mut decoder, NDATA, &data)), [said]);
}

#[test]
fn a_message_without_values_is_no_error_if_its_metrics_are_known() {
    let mut decoder = decoder();
    let null = |name, datatype: u32| declared(name, datatype.into(), datatype, None);
    let text = |name| Metric { is_null: None, ..null(name, 12) };
    let births = [
        vec![declared("bdSeq", 1, 8, Some(MetricValue::Long(1))), text("Node Control/Note")],
        vec![null("temp", 10), text("note")],
        vec![],
    ];
    for (seq, metrics) in (0..).zip(births) {
        assert_eq!(show(&send(&mut decoder, NBIRTH, &payload(T0 + seq, 0, metrics))), [""; 0]);
    }
    let data = payload(T0 + 3, 1, vec![null("temp", 10)]);
    assert_eq!(show(&send(&mut decoder, NDATA, &data)), [""; 0]);
    let rules = PayloadRules { exclude: vec!["Udt".to_owned()], ..PayloadRules::default() };
    let rules = SparkplugRules::new(super::tests::rules().limits, rules);
    let topic = SparkplugTopic::parse(NBIRTH).unwrap();
    let birth = payload(T0 + 4, 0, vec![Metric { is_null: None, ..null("Udt", 19) }]);
    assert_eq!(show(&decoder.decode(&rules, &topic, &birth, false, Timestamp(T0 as i64 * 1_000))), [""; 0]);
}

#[test]
fn patterns_choose_the_fields() {
    let rules = PayloadRules {
        include: vec!["Motor/*".to_owned()],
        exclude: vec!["*/Hours".to_owned()],
        ..PayloadRules::default()
    };
    let limits = PayloadLimits { max_bytes: 65_536, max_fields: 8, max_readings: 100, max_depth: 8 };
    let (mut decoder, rules) = (decoder(), SparkplugRules::new(limits, rules));
    let value = || Some(MetricValue::Double(1.0));
    let metrics = ["Motor/Speed", "Motor/Hours", "Ambient"].map(|name| declared(name, 0, 10, value()));
    let topic = SparkplugTopic::parse(NBIRTH).unwrap();
    let birth = payload(T0, 0, metrics.into());
    let decoded = decoder.decode(&rules, &topic, &birth, false, Timestamp(T0 as i64 * 1_000));
    assert_eq!(show(&decoded), ["0 Motor/Speed=1"]);
}

#[test]
fn data_after_a_birth_beyond_a_limit_is_not_read_by_an_older_birth() {
    let mut decoder = SparkplugDecoder::new(BirthLimits { max_metrics: 2, ..BirthLimits::default() });
    let birth = |millis, names: &[&str]| {
        let metrics = names.iter().zip(1..).map(|(name, alias)| declared(name, alias, 10, None));
        payload(millis, 0, metrics.collect())
    };
    let data = |millis| payload(millis, 1, vec![double(None, Some(1), 1.0)]);
    send(&mut decoder, NBIRTH, &birth(T0, &["a", "b"]));
    assert_eq!(show(&send(&mut decoder, NDATA, &data(T0 + 1))), ["1 a=1"]);
    let full = send(&mut decoder, NBIRTH, &birth(T0 + 10, &["b", "a", "c"]));
    assert!(full.births_are_full && full.birth.is_some());
    let shown = show(&send(&mut decoder, NDATA, &data(T0 + 11)));
    assert!(shown[0].contains("alias 1 is not in the birth certificate"), "{shown:?}");
    assert_eq!(show(&send(&mut decoder, NDATA, &data(T0 + 9))), ["9 a=1"], "late data");
    send(&mut decoder, NBIRTH, &birth(T0 + 20, &["b", "a"]));
    assert_eq!(show(&send(&mut decoder, NDATA, &data(T0 + 21))), ["21 b=1"]);
}

#[test]
fn a_time_before_the_clock_was_set_is_no_time() {
    let mut decoder = decoder();
    let birth = payload(86_400_000, 0, vec![declared("a", 1, 10, Some(MetricValue::Double(1.0)))]);
    assert_eq!(show(&send(&mut decoder, NBIRTH, &birth)), ["arrival a=1"]);
    let data = Payload { timestamp: None, seq: Some(1), metrics: vec![double(None, Some(1), 2.0)] };
    assert_eq!(show(&send(&mut decoder, NDATA, &data.encode_to_vec())), ["arrival a=2"]);
}

#[test]
fn deaths_commands_and_states_hold_no_reading() {
    let mut decoder = decoder();
    for topic in ["spBv1.0/plant/NDEATH/edge", "spBv1.0/plant/DCMD/edge/press", "spBv1.0/STATE/scada"] {
        let decoded = send(&mut decoder, topic, b"{\"online\":true}");
        assert_eq!((show(&decoded).len(), decoded.request), (0, None), "{topic}");
    }
}

#[test]
fn the_death_of_a_device_is_counted_and_holds_no_reading() {
    let mut decoder = decoder();
    send(&mut decoder, NBIRTH, &payload(T0, 0, vec![declared("a", 1, 10, None)]));
    let death = send(&mut decoder, "spBv1.0/plant/DDEATH/edge/press", &payload(T0, 1, Vec::new()));
    assert_eq!((show(&death).len(), death.request), (0, None));
    let data = send(&mut decoder, NDATA, &payload(T0 + 1, 2, vec![double(None, Some(1), 1.0)]));
    assert_eq!(data.request, None, "no message is missing");
}

#[test]
fn damaged_messages_are_refused_and_a_damaged_metric_is_refused_alone() {
    let mut decoder = decoder();
    assert!(show(&send(&mut decoder, NDATA, b"\x08"))[0].starts_with("malformed Sparkplug B"));
    let compressed = send(&mut decoder, NDATA, b"\x22\x12SPBV1.0_COMPRESSED\x2a\x01x");
    assert!(show(&compressed)[0].contains("Sparkplug compresses"));
    // The second metric has a name that is not UTF-8.
    let payload = [&payload(T0, 0, vec![double(Some("a"), None, 1.0)])[..], b"\x12\x03\x0a\x01\xff"].concat();
    let shown = show(&send(&mut decoder, NDATA, &payload));
    assert_eq!(shown[0], "0 a=1");
    assert!(shown[1].starts_with("malformed Sparkplug B"), "{shown:?}");
    let many = vec![b"\x12\x00".as_slice(); 40_000].concat();
    assert!(show(&send(&mut decoder, NDATA, &many))[0].contains("bytes"));
}

/// A message written by hand from the numbers of the fields:
///
/// | bytes | what |
/// |---|---|
/// | `08 ...` | field 1, timestamp: a varint |
/// | `12 1b` | field 2, a metric of 27 bytes |
/// | `0a 04 54656d70` | field 1 of the metric, name: `Temp` |
/// | `10 07` | field 2, alias: 7 |
/// | `18 ...` | field 3, timestamp |
/// | `20 0a` | field 4, datatype: 10, a double |
/// | `69 0000000000803540` | field 13, a double: 21.5 |
/// | `4a 00` | field 9, properties: empty, skipped |
/// | `18 00` | field 3, sequence number: 0 |
#[test]
fn a_message_that_is_written_by_hand_is_read() {
    let millis = "c0b0d9cda034";
    let text =
        format!("08 {millis} 12 1e 0a 04 54656d70 10 07 18 {millis} 20 0a 69 0000000000803540 4a 00 18 00");
    let digits: String = text.split_whitespace().collect();
    let bytes: Vec<u8> =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
    let mut decoder = decoder();
    let decoded = send(&mut decoder, DBIRTH, &bytes);
    let measurement = decoded.elements.unwrap().remove(0).unwrap();
    assert_eq!(
        (measurement.fields.names(), measurement.values.as_slice()),
        (&["Temp".to_owned()][..], &[21.5][..])
    );
    let millis = [0xc0_u64, 0xb0, 0xd9, 0xcd, 0xa0, 0x34]
        .iter()
        .rev()
        .fold(0, |number, byte| number << 7 | byte & 0x7f);
    assert_eq!(measurement.ts, Some(Timestamp(millis as i64 * 1_000 - 1)));
}

/// What a node does, in the order of its messages.
#[derive(Clone, Debug)]
enum Act {
    /// A birth with its three metrics under these aliases.
    Birth([u64; 3]),
    /// Data of one metric, by its alias in the last birth.
    Data { metric: usize, value: i32 },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let aliases = Just([0, 1, 2]).prop_shuffle().prop_map(Act::Birth);
    let data = (0..3_usize, -5..5_i32).prop_map(|(metric, value)| Act::Data { metric, value });
    prop::collection::vec(prop_oneof![1 => aliases, 4 => data], 1..40)
}

/// The messages of a node. Data before the first birth use aliases that no birth has taught yet.
fn messages(acts: &[Act]) -> Vec<(&'static str, Vec<u8>)> {
    let mut aliases = [0, 1, 2];
    let message = |(number, act): (usize, &Act)| {
        let millis = T0 + number as u64;
        match act {
            Act::Birth(new) => {
                aliases = *new;
                let metric = |(index, alias): (usize, &u64)| {
                    declared(&format!("m{index}"), *alias, 10, Some(MetricValue::Double(-1.0)))
                };
                (NBIRTH, payload(millis, 0, new.iter().enumerate().map(metric).collect()))
            }
            Act::Data { metric, value } => {
                let metric = double(None, Some(aliases[*metric]), f64::from(*value));
                (NDATA, payload(millis, 1, vec![metric]))
            }
        }
    };
    acts.iter().enumerate().map(message).collect()
}

proptest! {
    #[test]
    fn messages_that_are_delivered_again_after_a_restart_give_the_same_readings(
        acts in acts(),
        crash in any::<prop::sample::Index>(),
        oldest in any::<prop::sample::Index>(),
    ) {
        let messages = messages(&acts);
        let crash = crash.index(messages.len()) + 1;
        let oldest = oldest.index(crash);
        let mut stored = std::collections::BTreeMap::new();
        let mut first = decoder();
        let mut expected = Vec::new();
        for (topic, payload) in &messages[..crash] {
            let decoded = send(&mut first, topic, payload);
            if let Some(change) = &decoded.birth {
                for name in &change.forgotten {
                    stored.remove(name);
                }
                stored.insert(change.learnt.0.clone(), change.learnt.1.clone());
            }
            expected.push(show(&decoded));
        }
        // Only messages that are not acknowledged come again: fewer births than are kept.
        prop_assume!(acts[oldest..crash].iter().filter(|act| matches!(act, Act::Birth(_))).count() < 8);
        let mut second = decoder();
        for (name, bytes) in &stored {
            second.restore(name, bytes).unwrap();
        }
        for (number, (topic, payload)) in messages.iter().enumerate().skip(oldest) {
            let topic = SparkplugTopic::parse(topic).unwrap();
            let decoded = second.decode(&rules(), &topic, payload, number < crash, Timestamp(T0 as i64 * 1_000));
            let same = if number < crash { show(&decoded) == expected[number] } else { show(&decoded) == show(&send(&mut first, match topic.kind { MessageKind::Birth => NBIRTH, _ => NDATA }, payload)) };
            prop_assert!(same, "message {number}: {:?}", show(&decoded));
        }
    }

    #[test]
    fn no_payload_makes_the_decoder_panic(
        payload in prop::collection::vec(any::<u8>(), 0..200),
        cut in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut decoder = decoder();
        let birth = messages(&[Act::Birth([0, 1, 2])]).remove(0).1;
        send(&mut decoder, NBIRTH, &birth);
        let mut damaged = birth;
        damaged.truncate(cut.index(damaged.len()) + 1);
        let at = at.index(damaged.len());
        damaged[at] = byte;
        for payload in [payload, damaged] {
            for topic in [NBIRTH, NDATA, DBIRTH, DDATA] {
                for measurement in send(&mut decoder, topic, &payload).elements.into_iter().flatten().flatten() {
                    prop_assert!(measurement.values.iter().all(|value| value.is_finite()));
                    prop_assert!(measurement.values.len() <= 8);
                }
            }
        }
    }
}
