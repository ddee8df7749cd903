//! What a fleet needs.

use serde::Serialize;

use super::constants::{
    BROKER_MICROS, POSTGRES_MICROS, REDIS_BYTES, REDIS_MICROS, engine_micros, log_bytes, row_bytes,
};
use super::detector_cost::DetectorCost;
use super::settings::{Bounds, Settings};
use crate::config::{Config, NODE_BYTES};

const SECONDS_PER_DAY: f64 = 86_400.0;
const SECONDS_PER_HOUR: f64 = 3_600.0;
/// Room beyond what is needed, also for what the allocator needs itself, in percent of the need.
const ROOM_PERCENT: u64 = 125;

/// A fleet of equal sensors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fleet {
    pub(crate) sensors: u64,
    pub(crate) fields: u16,
    /// Readings of each sensor in a second.
    pub(crate) per_second: f64,
}

/// What a fleet needs, and the settings for it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Plan {
    pub(crate) readings_per_second: f64,
    pub(crate) memory: Memory,
    pub(crate) redis: Redis,
    pub(crate) postgresql: Postgres,
    pub(crate) cpu: Cpu,
    pub(crate) settings: Settings,
}

/// Memory of all nodes together.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Memory {
    /// Detectors in memory at a time.
    pub(crate) detectors: u64,
    /// Memory of one of them.
    pub(crate) detector_bytes: u64,
    /// Memory of a node beside its detectors.
    pub(crate) base_bytes: u64,
    /// Memory of a node that holds all detectors.
    pub(crate) node_bytes: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Redis {
    /// Memory of one checkpoint.
    pub(crate) checkpoint_bytes: u64,
    /// `checkpoint.memory`.
    pub(crate) checkpoint_memory_bytes: u64,
    /// Growth of the log in an hour in which PostgreSQL is away.
    pub(crate) log_bytes_per_hour: u64,
    pub(crate) maxmemory_bytes: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Postgres {
    pub(crate) bytes_per_reading: u64,
    pub(crate) bytes_per_day: u64,
}

/// Cores that are busy.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names of the JSON say the unit")]
pub(crate) struct Cpu {
    pub(crate) engine_cores: f64,
    pub(crate) broker_cores: f64,
    pub(crate) postgresql_cores: f64,
    pub(crate) redis_cores: f64,
}

impl Plan {
    pub(crate) fn of(fleet: &Fleet, cost: &DetectorCost, config: &Config) -> Self {
        let readings_per_second = fleet.sensors as f64 * fleet.per_second;
        let with_room = |bytes: u64| bytes / 100 * ROOM_PERCENT;
        // A detector stays in memory for evict_after beyond its last reading.
        let stay = (config.shards.evict_after.as_secs_f64() * fleet.per_second).min(1.0);
        let detectors = (fleet.sensors as f64 * stay).ceil() as u64;
        let memory = Memory {
            detectors,
            detector_bytes: cost.memory,
            base_bytes: NODE_BYTES,
            node_bytes: with_room(detectors * cost.memory) + NODE_BYTES,
        };
        let checkpoint_memory_bytes = with_room(fleet.sensors * cost.checkpoint);
        let log_bytes_per_hour =
            (readings_per_second * SECONDS_PER_HOUR * log_bytes(fleet.fields) as f64) as u64;
        let log = log_bytes_per_hour + REDIS_BYTES;
        let redis = Redis {
            checkpoint_bytes: cost.checkpoint,
            checkpoint_memory_bytes,
            log_bytes_per_hour,
            // No checkpoint is written beyond seven eighths of maxmemory, and a quarter is the
            // log's.
            maxmemory_bytes: (checkpoint_memory_bytes + log.max(checkpoint_memory_bytes / 3)) / 7 * 8,
        };
        let bytes_per_reading = row_bytes(fleet.fields);
        let postgresql = Postgres {
            bytes_per_reading,
            bytes_per_day: (readings_per_second * SECONDS_PER_DAY * bytes_per_reading as f64) as u64,
        };
        let cores = |micros: f64| readings_per_second * micros / 1e6;
        let detector = &config.detector;
        let cpu = Cpu {
            engine_cores: cores(engine_micros(detector.profile, detector.shape().trees, fleet.fields)),
            broker_cores: cores(BROKER_MICROS),
            postgresql_cores: cores(POSTGRES_MICROS),
            redis_cores: cores(REDIS_MICROS),
        };
        let settings = Settings::of(&Bounds {
            sensors: fleet.sensors,
            sensors_with_room: fleet.sensors.saturating_mul(ROOM_PERCENT).div_ceil(100),
            allowed_sensors: config.sensors.max as u64,
            allowed_at_once: u64::from(config.sensors.new_at_once),
            detectors: with_room(detectors.max(100)),
            detector_memory: with_room(detectors.max(100) * cost.memory),
            checkpoint_memory: checkpoint_memory_bytes,
            engine_cores: cpu.engine_cores,
        });
        Self { readings_per_second, memory, redis, postgresql, cpu, settings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load};

    fn plan(sensors: u64, per_second: f64) -> Plan {
        let file = tempfile::NamedTempFile::new().unwrap();
        let config = load(Some(file.path()), &Overrides::default()).unwrap().config;
        let cost = DetectorCost { memory: 200_000, checkpoint: 80_000 };
        Plan::of(&Fleet { sensors, fields: 4, per_second }, &cost, &config)
    }

    #[test]
    fn a_fleet_needs_memory_for_each_sensor_and_cpu_for_each_reading() {
        let minute = plan(50_000, 1.0 / 60.0);
        assert_eq!(minute.memory.detectors, 50_000);
        assert!(minute.memory.node_bytes > 50_000 * 200_000);
        assert!(minute.redis.checkpoint_memory_bytes > 50_000 * 80_000);
        let quarter = minute.redis.maxmemory_bytes / 4;
        assert!(minute.redis.maxmemory_bytes - minute.redis.checkpoint_memory_bytes > quarter);
        let second = plan(50_000, 1.0);
        assert!((second.cpu.engine_cores / minute.cpu.engine_cores - 60.0).abs() < 1e-6);
        assert_eq!(second.redis.checkpoint_memory_bytes, minute.redis.checkpoint_memory_bytes);
        // Evicted after a quarter of an hour.
        assert_eq!(plan(50_000, 1.0 / 3_600.0).memory.detectors, 12_500);
    }

    #[test]
    fn the_largest_fleet_has_a_plan() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let config = load(Some(file.path()), &Overrides::default()).unwrap().config;
        let cost = DetectorCost { memory: 40_000_000, checkpoint: 10_000_000 };
        let fleet = Fleet { sensors: 1_000_000_000, fields: 256, per_second: 1.0 };
        let plan = Plan::of(&fleet, &cost, &config);
        assert!(plan.memory.node_bytes > 40_000_000_000_000_000);
        assert!(plan.redis.maxmemory_bytes > plan.redis.checkpoint_memory_bytes);
    }
}
