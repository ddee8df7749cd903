//! `thicket plan`: what a fleet of sensors needs, and the settings for it.
//!
//! - `args`: the command line.
//! - `detector_cost`: memory and checkpoint of a detector, measured on one that reads noise.
//! - `constants`: what a reading costs beside its detector, as it was measured.
//! - `needs`: what the fleet needs. `settings`: the settings to write.

mod args;
mod constants;
mod detector_cost;
mod needs;
mod settings;

use std::process::ExitCode;

pub(crate) use args::PlanArgs;
pub(crate) use detector_cost::DetectorCost;
pub(crate) use needs::{Fleet, Plan};

use crate::config::Config;
use crate::format::{bytes, count, rough, rough_count};
use crate::terminal::outln;
use crate::usage::WrongUsage;

/// Most readings in a second. Far beyond it, a number of bytes has no 64-bit integer.
const MOST_READINGS: f64 = 1e9;

/// Prints what a fleet needs.
pub(crate) fn plan(config: &Config, args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let PlanArgs { sensors, fields, rate, .. } = *args;
    let readings = sensors as f64 * rate.per_second();
    if readings > MOST_READINGS {
        let problem =
            format!("{readings:e} readings a second are more than the {MOST_READINGS:e} that can be planned");
        return Err(WrongUsage(format!("--sensors and --rate: {problem}")).into());
    }
    let cost = DetectorCost::measure(&config.detector, fields)?;
    let fleet = Fleet { sensors, fields, per_second: rate.per_second() };
    let plan = Plan::of(&fleet, &cost, config);
    args.format.print(&plan, |plan| print(plan, args))?;
    Ok(ExitCode::SUCCESS)
}

fn print(plan: &Plan, PlanArgs { sensors, fields, rate, .. }: &PlanArgs) {
    let Plan { memory, redis, postgresql, cpu, settings, .. } = plan;
    outln!(
        "{} of {}, {rate} each: {} a second",
        count(*sensors, "sensor"),
        count(*fields, "field"),
        rough_count(plan.readings_per_second, "reading")
    );
    outln!("");
    outln!(
        "memory       {}: {} of {} in memory, and {} beside them",
        bytes(memory.node_bytes as f64),
        count(memory.detectors, "detector"),
        bytes(memory.detector_bytes as f64),
        bytes(memory.base_bytes as f64)
    );
    outln!(
        "redis        {} (maxmemory): {} for checkpoints of {}, the rest for the log, {} of it for an hour of backlog",
        bytes(redis.maxmemory_bytes as f64),
        bytes(redis.checkpoint_memory_bytes as f64),
        bytes(redis.checkpoint_bytes as f64),
        bytes(redis.log_bytes_per_hour as f64)
    );
    outln!(
        "postgresql   {} a day: {} bytes a row",
        bytes(postgresql.bytes_per_day as f64),
        postgresql.bytes_per_reading
    );
    outln!(
        "cpu          {}: engine {}, broker {}, postgresql {}, redis {} (one reading per message)",
        rough_count(cpu.engine_cores + cpu.broker_cores + cpu.postgresql_cores + cpu.redis_cores, "core"),
        rough(cpu.engine_cores),
        rough(cpu.broker_cores),
        rough(cpu.postgresql_cores),
        rough(cpu.redis_cores)
    );
    outln!("shards       {}, of {} partitions", settings.shards, settings.partitions);
    outln!("");
    outln!("# thicket.toml");
    outln!("{}", settings.toml());
    outln!("# redis.conf");
    outln!("maxmemory {}", redis.maxmemory_bytes);
}
