//! Reloads the configuration on SIGHUP, and when its file changes. Only the settings of detectors
//! take effect; other changes are reported, and take effect at the next start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
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
    running: Config,
    ingress: Addr<MqttIngress>,
    metrics: Metrics,
) -> anyhow::Result<()> {
    let mut running = Running::new(running)?;
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
                if let Err(error) = apply(&mut running, &loaded.config, &ingress) {
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

/// What a running engine has of a configuration.
struct Running {
    /// The configuration of the start: its settings hold until the end, but for the detectors.
    start: Config,
    /// The detectors in force.
    detectors: Arc<str>,
}

/// What a new configuration changes.
struct Change {
    /// The new detectors; `None` if they are those in force.
    detectors: Option<Arc<str>>,
    /// Whether it has other settings than the engine runs with.
    needs_restart: bool,
}

impl Running {
    fn new(start: Config) -> anyhow::Result<Self> {
        let detectors = start.detector_configs()?.to_json();
        Ok(Self { start, detectors })
    }

    /// Takes the detectors of a new configuration.
    fn take(&mut self, new: &Config) -> anyhow::Result<Change> {
        let detectors = new.detector_configs()?.to_json();
        let needs_restart = self.start.without_detectors()? != new.without_detectors()?;
        let is_new = self.detectors != detectors;
        if is_new {
            self.detectors = Arc::clone(&detectors);
        }
        Ok(Change { detectors: is_new.then_some(detectors), needs_restart })
    }
}

fn apply(running: &mut Running, new: &Config, ingress: &Addr<MqttIngress>) -> anyhow::Result<()> {
    let Change { detectors, needs_restart } = running.take(new)?;
    if needs_restart {
        tracing::warn!(
            "a running engine applies only changes of the detectors; the other changes take effect at the next start"
        );
    }
    let Some(detectors) = detectors else {
        tracing::info!("the configuration of the detectors has not changed");
        return Ok(());
    };
    #[expect(clippy::disallowed_methods, reason = "bounded by how often a person saves a file")]
    ingress.do_send(Reload { detectors });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn config(text: &str) -> Config {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        load(Some(file.path()), &Overrides::new()).unwrap().config
    }

    #[test]
    fn a_change_that_waits_for_the_next_start_is_named_until_it_is_taken_back() {
        let mut running = Running::new(config("")).unwrap();
        let mut take = |text: &str| {
            let change = running.take(&config(text)).unwrap();
            (change.detectors.is_some(), change.needs_restart)
        };
        assert_eq!(take("[queue]\nlinger = \"9ms\"\n[detector]\npoints = 64\n"), (true, true));
        // The linger is still that of the start.
        assert_eq!(take("[queue]\nlinger = \"9ms\"\n[detector]\npoints = 96\n"), (true, true));
        assert_eq!(take("[detector]\npoints = 96\n"), (false, false));
        assert_eq!(take(""), (true, false));
    }
}
