//! What the present fleet needs, by `thicket plan`, beside what the configuration and the servers
//! allow.

use thicket_actors::checkpoint::checkpoint_budget;
use thicket_store::postgres::PresentFleet;

use super::Line;
use crate::config::{Config, machine_memory};
use crate::format::{bytes, count, number, rough};
use crate::plan::{DetectorCost, Fleet, Plan};

const SECONDS_PER_DAY: f64 = 86_400.0;
/// Fields that a plan can have at most.
const MAX_FIELDS: f64 = 256.0;
/// Free disk for fewer days than these is too little.
const LEAST_DAYS: f64 = 30.0;
const MIB: u64 = 1 << 20;

/// What the machine and the servers have.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// Bytes that this process may use.
    machine: u64,
    /// `maxmemory` of Redis; 0 means without a limit.
    maxmemory: u64,
    /// Free bytes of the disk below PostgreSQL; `None` if it cannot be asked.
    free_disk: Option<u64>,
}

/// Part of `sensors.max` from which on it is near, as in the alert `ThicketSensorsNearLimit`.
const NEAR: f64 = 0.9;

/// Warns if hardly more sensors are allowed than are known.
pub(super) fn near_limit(config: &Config, known: i64) -> Option<Line> {
    let max = config.sensors.max;
    let words = format!(
        "{}, and sensors.max is {max}; beyond it, readings of new sensors become dead letters; raise sensors.max, or forget sensors that are gone",
        count(known, "known sensor")
    );
    (known as f64 > NEAR * max as f64).then(|| Line::warn("sensors", words))
}

/// Compares what the present fleet needs with what there is. A line for each.
pub(super) fn needs(config: &Config, present: &PresentFleet, maxmemory: u64) -> Vec<Line> {
    if present.sensors == 0 {
        let words = "no sensor sends readings yet; `thicket plan` says what a fleet needs".to_owned();
        return vec![Line::ok("fleet", words)];
    }
    let fields = present.fields.round().clamp(1.0, MAX_FIELDS) as u16;
    let fleet = Fleet { sensors: present.sensors.cast_unsigned(), fields, per_second: present.per_second };
    let Ok(cost) = DetectorCost::measure(&config.detector, fields) else { return Vec::new() };
    let plan = Plan::of(&fleet, &cost, config);
    let directory = present.local_directory.as_deref();
    let free_disk = directory.and_then(|directory| {
        let disk = rustix::fs::statvfs(directory).ok()?;
        Some(disk.f_bavail * disk.f_frsize)
    });
    let found = Found { machine: machine_memory(), maxmemory, free_disk };
    vec![
        describe(&fleet, &plan),
        memory(config, &plan, found),
        redis(config, &fleet, &plan, found),
        disk(config, &plan, present.database_bytes.cast_unsigned(), found),
    ]
}

fn describe(fleet: &Fleet, plan: &Plan) -> Line {
    let Fleet { sensors, fields, .. } = *fleet;
    let (each, all) = (rough(fleet.per_second * 60.0), rough(plan.readings_per_second));
    let of = count(fields, "scored field");
    let words = format!(
        "{} of {of} on average, {each} readings a minute each, {all} a second altogether",
        count(sensors, "sensor")
    );
    Line::ok("fleet", words)
}

/// Memory of the detectors on this node, if it is the only one.
fn memory(config: &Config, plan: &Plan, Found { machine, .. }: Found) -> Line {
    let needed = plan.memory.detectors * plan.memory.detector_bytes;
    let allowed = config.shards.resolved_memory();
    let most = config.shards.max_detectors as u64;
    let needs = format!(
        "the detectors need {} on one node, shards.memory is {}",
        bytes(needed as f64),
        bytes(allowed as f64)
    );
    let evicts = "detectors beyond it are evicted and restored again and again";
    let settings = &plan.settings;
    let with_room = settings.memory_mib * MIB + plan.memory.base_bytes;
    let more_machine = || {
        format!(
            "{} of memory are needed and {} are there: share the sensors among more nodes",
            bytes(with_room as f64),
            bytes(machine as f64)
        )
    };
    if needed > allowed {
        let remedy = if with_room > machine {
            more_machine()
        } else {
            format!("set shards.memory = \"{}MiB\"", settings.memory_mib)
        };
        return Line::warn("memory", format!("{needs}; {evicts}; {remedy}"));
    }
    if plan.memory.detectors > most {
        let remedy = format!("set shards.max_detectors = {}", settings.max_detectors);
        return Line::warn(
            "memory",
            format!(
                "{} are active, and shards.max_detectors is {most}; {evicts}; {remedy}",
                count(plan.memory.detectors, "sensor")
            ),
        );
    }
    if allowed + plan.memory.base_bytes > machine {
        return Line::warn(
            "memory",
            format!(
                "{needs}, but this process may use {} altogether; set shards.memory = \"auto\", or allow it more memory",
                bytes(machine as f64)
            ),
        );
    }
    Line::ok("memory", needs)
}

/// Memory of Redis.
fn redis(config: &Config, fleet: &Fleet, plan: &Plan, Found { maxmemory, .. }: Found) -> Line {
    let needed = fleet.sensors * plan.redis.checkpoint_bytes;
    let budget = checkpoint_budget(config.checkpoint.memory.bytes(), maxmemory);
    let hours = |free: u64| rough((free as f64 / plan.redis.log_bytes_per_hour.max(1) as f64).min(10_000.0));
    let needs =
        format!("the checkpoints need {}, and may take {}", bytes(needed as f64), bytes(budget as f64));
    if needed > budget {
        let most = plan.redis.maxmemory_bytes;
        let checkpoint = plan.settings.checkpoint_memory_mib;
        return Line::warn(
            "redis memory",
            format!(
                "{needs}; the others are restored from all their rows, which takes longer; set `maxmemory {most}` in redis.conf, and checkpoint.memory = \"{checkpoint}MiB\""
            ),
        );
    }
    if maxmemory == 0 {
        return Line::warn(
            "redis memory",
            format!(
                "{needs}, but Redis has no maxmemory, so a backlog can use up the memory of its machine; set `maxmemory {}` in redis.conf",
                plan.redis.maxmemory_bytes
            ),
        );
    }
    let log = maxmemory.saturating_sub(needed);
    if plan.redis.log_bytes_per_hour > log {
        return Line::warn(
            "redis memory",
            format!(
                "{needs}; the rest holds the log of less than an hour while PostgreSQL is away, and longer backlogs wait in the broker; set `maxmemory {}` in redis.conf",
                plan.redis.maxmemory_bytes
            ),
        );
    }
    Line::ok(
        "redis memory",
        format!("{needs}; the rest holds the log of {} hours while PostgreSQL is away", hours(log)),
    )
}

/// Growth of PostgreSQL.
fn disk(config: &Config, plan: &Plan, database: u64, Found { free_disk, .. }: Found) -> Line {
    let a_day = plan.postgresql.bytes_per_day.max(1);
    let days = config.postgres.retention.as_secs_f64() / SECONDS_PER_DAY;
    let kept = days * a_day as f64;
    let end = if days > 0.0 {
        format!("{} after postgres.retention of {} days", bytes(kept), rough(days))
    } else {
        "without an end (postgres.retention is not set)".to_owned()
    };
    let grows = format!("{} now, grows by {} a day, {end}", bytes(database as f64), bytes(a_day as f64));
    let Some(free) = free_disk else {
        return Line::ok("postgresql disk", format!("{grows}; compare it with the free disk of its machine"));
    };
    let lasts = free as f64 / a_day as f64;
    let more = (kept - database as f64).max(0.0);
    let is_short = if days > 0.0 { more > free as f64 } else { lasts < LEAST_DAYS };
    let shown = format!("{grows}; {} are free", bytes(free as f64));
    if is_short {
        let shorter = (((free + database) as f64 / a_day as f64) * 0.8).floor().max(1.0);
        // A retention that is shorter than this age is refused.
        let max_age = config.longest_max_age().as_secs_f64() / SECONDS_PER_DAY;
        let also = if max_age > shorter { " and mqtt.max_age to at most as much" } else { "" };
        return Line::warn(
            "postgresql disk",
            format!(
                "{shown}, enough for {} days; set postgres.retention = \"{}d\"{also}, or give it more disk",
                number(lasts.floor()),
                number(shorter)
            ),
        );
    }
    Line::ok("postgresql disk", shown)
}

#[cfg(test)]
mod tests;
