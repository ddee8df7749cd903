use std::time::Duration;

use thicket_detector::DetectorConfig;

use super::*;
use crate::testing::start;

const MINUTE: Duration = Duration::from_mins(1);

/// Creates a cache of detectors. Each has the minutes since its last use and its memory.
fn cache(now: Instant, detectors: &[(u32, u64)]) -> DetectorCache {
    let config = Arc::new(NamedConfig::from(DetectorConfig::default()));
    let mut cache = DetectorCache::default();
    for (number, &(minutes, memory)) in detectors.iter().enumerate() {
        let sensor = SensorName::new(&format!("s{number}")).unwrap();
        let mut cached = CachedDetector {
            sensor: sensor.clone(),
            detector: start(DetectorActor::new(sensor.clone(), 512)),
            partition: PartitionId(0),
            config: Arc::clone(&config),
            last_used: now.checked_sub(minutes * MINUTE).unwrap_or(now),
            touched: Position { generation: 1, n: number as u64 },
            saved: 0,
            memory: 0,
        };
        cached.memory = memory;
        cache.insert(cached);
    }
    cache
}

/// Returns the names of the evicted detectors. All readings are committed.
fn evicted(detectors: &[(u32, u64)], bounds: CacheBounds) -> Vec<String> {
    let now = Instant::now() + 100 * MINUTE;
    let committed = |_| Position { generation: 2, n: 0 };
    let evicted = cache(now, detectors).take_idle(now, bounds, committed);
    evicted.into_iter().map(|cached| cached.sensor.to_string()).collect()
}

const BOUNDS: CacheBounds =
    CacheBounds { evict_after: Duration::from_mins(15), detectors: 10, memory: 1_000 };

#[actix_rt::test]
async fn the_detectors_that_were_idle_longest_make_room() {
    let detectors = [(3, 400), (1, 400), (2, 400)];
    assert_eq!(evicted(&detectors, BOUNDS), ["s0"]);
    assert_eq!(evicted(&detectors, CacheBounds { memory: 700, ..BOUNDS }), ["s0", "s2"]);
    assert_eq!(evicted(&detectors, CacheBounds { memory: 1_200, ..BOUNDS }), [""; 0]);
    assert_eq!(evicted(&detectors, CacheBounds { memory: 9_999, detectors: 2, ..BOUNDS }), ["s0"]);
    assert_eq!(evicted(&[(14, 1), (15, 1), (99, 1)], BOUNDS), ["s2", "s1"]);
}

#[actix_rt::test]
async fn the_memory_is_that_of_the_detectors_that_are_left() {
    let now = Instant::now() + 100 * MINUTE;
    let mut cache = cache(now, &[(3, 400), (1, 400), (2, 400)]);
    assert_eq!((cache.memory(), cache.half(BOUNDS)), (1_200, Some(1)));
    assert!(cache.is_far_beyond(BOUNDS));
    assert!(!cache.is_far_beyond(CacheBounds { memory: 1_100, ..BOUNDS }), "not by an eighth");
    let sensor = |number: usize| SensorName::new(&format!("s{number}")).unwrap();
    cache.note_memory(&sensor(0), 500);
    cache.remove(&sensor(1));
    assert_eq!(cache.memory(), 900);
    let replacing = CachedDetector { memory: 100, ..cache.get(&sensor(0)).unwrap() };
    cache.insert(replacing);
    assert_eq!(cache.memory(), 500);
    let taken = cache.take_partition(PartitionId(0));
    assert_eq!((taken.len(), cache.memory()), (2, 0));
    for cached in taken {
        cache.insert(cached);
    }
    assert_eq!(cache.memory(), 500);
    cache.drop_partition(PartitionId(0));
    assert_eq!((cache.memory(), cache.half(BOUNDS)), (0, None));
}

#[actix_rt::test]
async fn a_detector_that_takes_much_of_the_bound_goes_first() {
    let detectors = [(3, 200), (1, 500), (2, 200), (1, 200)];
    assert_eq!(evicted(&detectors, BOUNDS), ["s1"]);
    assert_eq!(evicted(&detectors, CacheBounds { memory: 1_100, ..BOUNDS }), [""; 0]);
}

#[actix_rt::test]
async fn a_detector_with_readings_that_are_not_committed_stays() {
    let now = Instant::now() + 100 * MINUTE;
    let mut cache = cache(now, &[(3, 600), (20, 600)]);
    let committed = |_| Position { generation: 1, n: 0 };
    let evicted = cache.take_idle(now, BOUNDS, committed);
    assert_eq!(evicted.len(), 1);
    assert_eq!((evicted[0].sensor.as_str(), cache.memory(), cache.len()), ("s0", 600, 1));
}

#[actix_rt::test]
async fn the_memory_is_that_of_the_last_measurement() {
    let now = Instant::now();
    let mut cache = cache(now, &[(0, 100), (0, 200)]);
    cache.note_memory(&SensorName::new("s0").unwrap(), 150);
    cache.note_memory(&SensorName::new("unknown").unwrap(), 9_000);
    assert_eq!(cache.memory(), 350);
    cache.drop_partition(PartitionId(0));
    assert_eq!(cache.memory(), 0);
}
