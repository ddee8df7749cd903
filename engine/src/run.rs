//! `thicket run`: starts the engine, waits for a signal, and stops it.

use std::process::ExitCode;
use std::time::Duration;

use actix::Addr;
use futures_util::future::join_all;
use prometheus::Registry;
use prometheus::process_collector::ProcessCollector;
use thicket_actors::messages::{Abandon, Drain};
use thicket_actors::metrics::Metrics;
use thicket_actors::shard::Shard;
use thicket_actors::supervision::{ExitSignal, Frozen, Watchdog};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::config::Config;
use crate::http;
use crate::readiness::Phase;
use crate::reload::{self, Origin};
use crate::revision::REVISION;
use crate::stores_watch::StoresWatch;
use crate::{
    brokers, checkpoint_keep, clocks, fleet, ledger, notify, own_clock, prune, retention, security,
    service_manager, topology,
};

/// Exit code: an actor gave up, or another node took over.
const GAVE_UP: u8 = 3;
/// Exit code: the drain took longer than `shutdown.deadline`.
const DEADLINE_PASSED: u8 = 4;
/// How long a process that ends at once waits for its shards. One that hangs does not answer.
const ABANDON_LIMIT: Duration = Duration::from_millis(500);

/// Runs the engine until it is told to stop or gives up.
pub(crate) fn run(config: &Config, origin: Origin) -> anyhow::Result<ExitCode> {
    actix::System::new().block_on(run_on_system(config, origin))
}

async fn run_on_system(config: &Config, origin: Origin) -> anyhow::Result<ExitCode> {
    own_clock::refuse_early()?;
    brokers::refuse_misfits(config)?;
    security::warn_of_unverified(config);
    security::warn_of_open_http(config);
    raise_descriptor_limit();
    let registry = Registry::new();
    registry.register(Box::new(ProcessCollector::for_self()))?;
    let metrics = Metrics::new(&registry)?;
    let (phase, phase_seen) = watch::channel(Phase::WaitingForStores);
    let version = [env!("CARGO_PKG_VERSION"), REVISION];
    metrics.build_info.with_label_values(&version).set(1);
    metrics.partitions.set(i64::from(config.queue.partitions));
    metrics.sensors_limit.set(config.sensors.max as i64);
    metrics.field_name_limit_bytes.set(config.sensors.max_name_bytes as i64);
    metrics.detectors_limit.set(config.shards.max_detectors as i64);
    metrics.detector_memory_limit_bytes.set(config.shards.resolved_memory() as i64);
    reload::note_success(&metrics);
    http::serve(config, registry, metrics.clone(), phase_seen, StoresWatch::start(config, &metrics))?;

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (exit, mut exits) = ExitSignal::new();
    service_manager::start_signs_of_life();
    service_manager::waiting();
    let watchdog = Watchdog::start(config.node.watchdog, give_up)?;
    let topology = tokio::select! {
        started = topology::start(config, &metrics, &exit, &watchdog) => started?,
        () = told_to_stop(&mut terminate, &mut interrupt) => return Ok(ExitCode::SUCCESS),
        never = brokers::name_missing(config) => match never {},
    };
    let notifier = notify::start(config, &topology, &metrics, &exit)?;
    phase.send_replace(Phase::Running);
    service_manager::ready();
    let _ledger = ledger::watch(config, &metrics);
    let _retention = retention::start(config, &metrics)?;
    let _pruning = prune::start(config, &metrics);
    let _checkpoints = checkpoint_keep::watch(config, &metrics)?;
    let _clocks = clocks::watch(config, &metrics);
    let _fleet = fleet::watch(config, &metrics);
    let watching = reload::watch(origin, config.clone(), topology.ingress(), metrics.clone());
    let watching = actix_rt::spawn(async move {
        if let Err(error) = watching.await {
            tracing::error!(%error, "changes of the configuration are not noticed");
        }
    });

    let code = tokio::select! {
        () = told_to_stop(&mut terminate, &mut interrupt) => ExitCode::SUCCESS,
        Some(reason) = exits.recv() => {
            tracing::error!(%reason, "the engine gives up; start it again");
            ExitCode::from(GAVE_UP)
        }
    };
    watching.abort();
    phase.send_replace(Phase::Stopping);
    service_manager::stopping();
    tracing::info!(
        "stopping: committing what is in flight (a second signal ends the process at once; no data is lost)"
    );
    let shards = topology.shards();
    tokio::select! {
        () = async {
            topology.drain(config.shutdown.deadline).await;
            let _ = notifier.send(Drain).await;
        } => {
            tracing::info!("stopped");
            Ok(code)
        }
        () = told_to_stop(&mut terminate, &mut interrupt) => Ok(end_at_once("a second signal", &shards).await),
        () = tokio::time::sleep(config.shutdown.deadline) => {
            Ok(end_at_once("shutdown.deadline has passed", &shards).await)
        }
    }
}

/// Raises the limit of open files and connections as far as it is allowed.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // The limit of the start remains.
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files is not raised");
    }
}

/// Ends the process. A frozen arbiter cannot be stopped, and its actors would never answer.
fn give_up(Frozen { arbiter, since, at }: Frozen) {
    let seconds = since.as_secs();
    tracing::error!(arbiter, seconds, "an arbiter hangs; the node ends; start it again");
    if let Some((sensor, ts)) = at {
        tracing::error!(%sensor, %ts, "the arbiter last scored this sensor, from this reading on");
    }
    std::process::exit(i32::from(GAVE_UP));
}

async fn end_at_once(why: &str, shards: &[Addr<Shard>]) -> ExitCode {
    tracing::warn!(why, "ending at once; the next start continues from the committed positions");
    // The end must not look like a crash on the reading that a shard has recorded.
    let abandoned = join_all(shards.iter().map(|shard| shard.send(Abandon)));
    drop(tokio::time::timeout(ABANDON_LIMIT, abandoned).await);
    // Arbiters may be waiting for a store that does not answer, so the process does not wait for
    // them.
    std::thread::spawn(|| {
        #[expect(
            clippy::disallowed_methods,
            reason = "a thread of its own, and the process needs no arbiter any more"
        )]
        std::thread::sleep(Duration::from_millis(200));
        std::process::exit(i32::from(DEADLINE_PASSED));
    });
    ExitCode::from(DEADLINE_PASSED)
}

async fn told_to_stop(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
