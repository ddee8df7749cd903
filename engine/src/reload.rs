//! Reloads the configuration on SIGHUP, and when its file changes. Only the settings of detectors
//! take effect; other changes are reported, and take effect at the next start.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use actix::Addr;
use thicket_actors::messages::Reload;
use thicket_actors::metrics::Metrics;
use thicket_actors::source::MqttIngress;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Overrides};

/// How often the file's modification time is read. This works on every file system, and on the
/// mounts of an orchestrator.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// How long a file must stay unchanged before it is read.
const SETTLE_TIME: Duration = Duration::from_millis(500);

/// The sources of a configuration.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// The file that the command line names.
    pub(crate) file: Option<PathBuf>,
    /// The flags of the command line.
    pub(crate) overrides: Overrides,
    /// The file before the running configuration was read from it.
    pub(crate) watched: WatchedFile,
}

/// The configuration file, as it was before the engine read it. A change while the engine still
/// starts is noticed too.
#[derive(Clone, Debug)]
pub(crate) struct WatchedFile {
    path: PathBuf,
    state: FileState,
}

impl WatchedFile {
    /// Takes note of the file that the command line names, or of the default one.
    pub(crate) fn note(file: Option<&Path>) -> Self {
        let path = file.unwrap_or_else(|| Path::new(crate::config::DEFAULT_FILE)).to_path_buf();
        let state = file_state(&path);
        Self { path, state }
    }
}

/// A file's modification time and its length in bytes; `None` if it cannot be read.
type FileState = Option<(SystemTime, u64)>;

/// Watches until the process ends.
pub(crate) async fn watch(
    origin: Origin,
    mut running: Config,
    ingress: Addr<MqttIngress>,
    metrics: Metrics,
) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let WatchedFile { path: file, state: mut last_state } = origin.watched.clone();
    loop {
        tokio::select! {
            _ = hangup.recv() => tracing::info!("SIGHUP: reading the configuration again"),
            () = tokio::time::sleep(POLL_INTERVAL) => {
                let state = file_state(&file);
                if state == last_state {
                    continue;
                }
                // A file that is missing, empty or still being written is no configuration.
                tokio::time::sleep(SETTLE_TIME).await;
                if state.is_none_or(|(_, bytes)| bytes == 0) || file_state(&file) != state {
                    continue;
                }
                tracing::info!(file = %file.display(), "the configuration file has changed");
            }
        }
        last_state = file_state(&file);
        match crate::config::load(origin.file.as_deref(), &origin.overrides) {
            Ok(loaded) => {
                if let Err(error) = apply(&mut running, loaded.config, &ingress) {
                    metrics.config_last_reload_successful.set(0);
                    tracing::error!(%error, "the new configuration is rejected; the old one stays in force");
                } else {
                    note_success(&metrics);
                }
            }
            Err(problems) => {
                metrics.config_last_reload_successful.set(0);
                let error = problems.lines().join("; ");
                tracing::error!(error, "the new configuration is rejected; the old one stays in force");
            }
        }
    }
}

/// Notes in the metrics that a configuration was loaded just now.
pub(crate) fn note_success(metrics: &Metrics) {
    metrics.config_last_reload_successful.set(1);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    metrics.config_last_reload_success_timestamp_seconds.set(now.as_secs_f64());
}

fn file_state(file: &Path) -> FileState {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn apply(running: &mut Config, new: Config, ingress: &Addr<MqttIngress>) -> anyhow::Result<()> {
    let (old_detectors, detectors) =
        (running.detector_configs()?.to_json(), new.detector_configs()?.to_json());
    if running.without_detectors()? != new.without_detectors()? {
        tracing::warn!(
            "a running engine applies only changes of the detectors; the other changes take effect at the next start"
        );
    }
    if old_detectors == detectors {
        tracing::info!("the configuration of the detectors has not changed");
        return Ok(());
    }
    #[expect(clippy::disallowed_methods, reason = "bounded by how often a person saves a file")]
    ingress.do_send(Reload { detectors });
    *running = new;
    Ok(())
}
