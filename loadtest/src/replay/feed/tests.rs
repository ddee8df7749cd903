use std::collections::HashMap;

use super::{super::Faults, *};
use crate::scenario::{ScenarioOptions, tests::shared_library};

fn new_scenario(sensors: u32) -> Arc<Scenario> {
    let options = ScenarioOptions { sensors, seed: 5, quiet_frames: 50, ..ScenarioOptions::default() };
    Arc::new(Scenario::new(shared_library(), options).unwrap())
}

fn options(frames: u64) -> ReplayOptions {
    let mut options = ReplayOptions::new("mqtt://localhost".parse().unwrap());
    (options.frames, options.live) = (frames, false);
    options
}

fn messages(feed: &mut Feed) -> Vec<Message> {
    std::iter::from_fn(|| feed.next()).collect()
}

/// Returns the readings of all messages with the given disposition.
fn readings(messages: &[Message], wanted: Disposition) -> Vec<Reading> {
    let of = |message: &Message| match &message.content {
        Content::Readings { disposition, readings, .. } if *disposition == wanted => readings.clone(),
        _ => Vec::new(),
    };
    messages.iter().flat_map(of).collect()
}

#[test]
fn without_faults_the_scenario_comes_through_in_order() {
    let scenario = new_scenario(4);
    let all = messages(&mut Feed::new(&scenario, &options(30)));
    let expected: Vec<Reading> = scenario.readings(0).take(4 * 30).collect();
    assert_eq!(readings(&all, Disposition::Plain), expected);
    assert_eq!(all.len(), expected.len());
    assert_eq!(&*all[0].topic, format!("sensors/{}", scenario.sensors()[expected[0].sensor].name));
}

#[test]
fn batches_hold_successive_readings_of_one_sensor_and_nothing_stays_behind() {
    let scenario = new_scenario(3);
    let all = messages(&mut Feed::new(&scenario, &ReplayOptions { batch: 8, ..options(30) }));
    let sizes: Vec<u64> = all.iter().map(Message::readings).collect();
    assert_eq!(sizes, [[8; 3], [8; 3], [8; 3], [6; 3]].concat());
    for message in &all {
        let Content::Readings { sensor, readings, .. } = &message.content else { panic!("malformed") };
        assert!(readings.iter().all(|reading| reading.sensor == *sensor));
        assert!(readings.windows(2).all(|pair| pair[0].frame + 1 == pair[1].frame));
    }
}

#[test]
fn live_readings_go_alone_and_never_end() {
    let scenario = new_scenario(2);
    let options = ReplayOptions { batch: 8, live: true, ..options(10) };
    let mut feed = Feed::new(&scenario, &options);
    let all: Vec<Message> = (0..4 + 2 * 100).map(|_| feed.next().unwrap()).collect();
    let (live, history): (Vec<_>, Vec<_>) = all.iter().partition(|message| message.live);
    assert_eq!(history.iter().map(|message| message.readings()).sum::<u64>(), 20);
    assert!(live.iter().all(|message| message.readings() == 1));
    assert_eq!(live[0].due, scenario.timestamp(scenario.reporting_order()[0], 10));
}

#[test]
fn duplicates_follow_their_originals() {
    let faults = Faults { duplicates: 0.2, ..Faults::default() };
    let all = messages(&mut Feed::new(&new_scenario(3), &ReplayOptions { faults, batch: 3, ..options(60) }));
    let mut copies = 0;
    for pair in all.windows(2) {
        if let Content::Readings { disposition: Disposition::Duplicate, .. } = pair[1].content {
            assert_eq!((&pair[0].topic, &pair[0].payload), (&pair[1].topic, &pair[1].payload));
            copies += 1;
        }
    }
    assert!(copies > 3);
    assert_eq!(readings(&all, Disposition::Plain).len(), 180);
}

#[test]
fn late_readings_come_after_newer_ones_and_all_come() {
    for batch in [1, 7] {
        let faults = Faults { late: 0.1, ..Faults::default() };
        let all =
            messages(&mut Feed::new(&new_scenario(3), &ReplayOptions { batch, faults, ..options(200) }));
        let mut newest: HashMap<usize, i64> = HashMap::new();
        let mut seen = Vec::new();
        for message in &all {
            let Content::Readings { disposition, sensor, readings } = &message.content else {
                panic!("malformed")
            };
            for reading in readings {
                let newest_of_sensor = newest.entry(*sensor).or_insert(i64::MIN);
                assert_eq!(reading.ts < *newest_of_sensor, *disposition == Disposition::Late);
                *newest_of_sensor = reading.ts.max(*newest_of_sensor);
                seen.push((reading.sensor, reading.frame));
            }
        }
        seen.sort_unstable();
        let expected: Vec<(usize, u64)> =
            (0..3).flat_map(|sensor| (0..200).map(move |frame| (sensor, frame))).collect();
        assert_eq!(seen, expected);
        assert!(readings(&all, Disposition::Late).len() > 30);
    }
}

#[test]
fn malformed_messages_come_in_addition() {
    let faults = Faults { malformed: 0.1, ..Faults::default() };
    let all = messages(&mut Feed::new(&new_scenario(3), &ReplayOptions { faults, ..options(100) }));
    assert_eq!(readings(&all, Disposition::Plain).len(), 300);
    let malformed = all.iter().filter(|message| matches!(message.content, Content::Malformed)).count();
    assert!((15..50).contains(&malformed), "{malformed}");
}

#[test]
fn the_same_seed_meets_the_same_trouble() {
    let faults = Faults { duplicates: 0.05, malformed: 0.05, late: 0.05 };
    let all = || {
        let options = ReplayOptions { faults, ..options(100) };
        messages(&mut Feed::new(&new_scenario(3), &options))
            .into_iter()
            .map(|m| (m.topic, m.payload))
            .collect::<Vec<_>>()
    };
    assert_eq!(all(), all());
}

#[test]
fn every_event_is_announced_when_it_begins_and_counted_when_it_ends() {
    let (scenario, frames) = (new_scenario(5), 3_000);
    let all = messages(&mut Feed::new(&scenario, &options(frames)));
    let announced: Vec<&InjectedEvent> = all.iter().flat_map(|message| &message.events_begun).collect();
    let begun: usize =
        (0..5).map(|s| scenario.events(s).take_while(|event| event.first_frame < frames).count()).sum();
    let ended: usize =
        (0..5).map(|s| scenario.events(s).take_while(|event| event.last_frame < frames).count()).sum();
    assert_eq!(announced.len(), begun);
    assert_eq!(all.iter().map(|message| message.events_ended).sum::<u64>(), ended as u64);
    assert!(ended > 5);
}

#[test]
fn a_sensor_is_named_as_the_engine_names_it() {
    let scenario = new_scenario(1);
    let name = |prefix: &str| {
        let options = ReplayOptions { topic_prefix: prefix.to_owned(), ..options(1) };
        Feed::new(&scenario, &options).name(0).to_owned()
    };
    let own = &scenario.sensors()[0].name;
    assert_eq!(name("sensors/"), *own);
    assert_eq!(name("sensors/load/"), format!("load/{own}"));
    assert_eq!(name("plant/"), *own);
}

#[test]
fn a_feed_that_goes_on_publishes_what_an_undisturbed_one_publishes_from_there_on() {
    let scenario = new_scenario(3);
    let live = |first_frame, frames| ReplayOptions { first_frame, live: true, ..options(frames) };
    let mut whole = Feed::new(&scenario, &live(0, 20));
    let whole: Vec<Message> = (0..3 * 60).map(|_| whole.next().unwrap()).collect();
    let mut rest = Feed::new(&scenario, &live(40, 40));
    for expected in &whole[3 * 40..] {
        let message = rest.next().unwrap();
        assert!(message.live);
        assert_eq!((message.topic, message.payload), (expected.topic.clone(), expected.payload.clone()));
    }
    let history = messages(&mut Feed::new(&scenario, &ReplayOptions { first_frame: 12, ..options(15) }));
    assert_eq!(history.len(), 3 * 3);
    assert!(
        messages(&mut Feed::new(&scenario, &ReplayOptions { first_frame: 15, ..options(15) })).is_empty()
    );
}
