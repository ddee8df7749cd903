//! Another configuration without a restart: on SIGHUP, and when the file changes. Only what concerns detectors takes effect; the
//! rest is reported, and waits for the next start.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use actix::Addr;
use thicket_actors::messages::Reload;
use thicket_actors::source::MqttIngress;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Overrides};

/// How often the file is looked at. Asking its time works on every file system, and over the mounts of an orchestrator.
const LOOK: Duration = Duration::from_secs(2);

/// How long a file must stay as it is before it is read.
const SETTLE: Duration = Duration::from_millis(500);

/// Where a configuration comes from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// As given on the command line.
    pub(crate) file: Option<PathBuf>,
    /// The flags.
    pub(crate) overrides: Overrides,
}

/// What the file looked like when it was last read.
type Seen = Option<(SystemTime, u64)>;

/// Watches until the process ends.
pub(crate) async fn watch(
    origin: Origin,
    mut running: Config,
    ingress: Addr<MqttIngress>,
) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let file = origin.file.clone().unwrap_or_else(|| PathBuf::from(crate::config::DEFAULT_FILE));
    let mut seen = look(&file);
    loop {
        tokio::select! {
            _ = hangup.recv() => tracing::info!("SIGHUP: reading the configuration again"),
            () = tokio::time::sleep(LOOK) => {
                let now = look(&file);
                if now == seen {
                    continue;
                }
                // A file that is away, empty or still being written is no configuration.
                tokio::time::sleep(SETTLE).await;
                if now.is_none_or(|(_, bytes)| bytes == 0) || look(&file) != now {
                    continue;
                }
                tracing::info!(file = %file.display(), "the configuration file has changed");
            }
        }
        seen = look(&file);
        match crate::config::load(origin.file.as_deref(), &origin.overrides) {
            Ok(new) => {
                if let Err(error) = take_over(&mut running, new, &ingress) {
                    tracing::error!(%error, "the new configuration is not taken over; the old one holds");
                }
            }
            Err(error) => {
                tracing::error!(%error, "the new configuration is not taken over; the old one holds");
            }
        }
    }
}

fn look(file: &Path) -> Seen {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn take_over(running: &mut Config, new: Config, ingress: &Addr<MqttIngress>) -> anyhow::Result<()> {
    let (old_detectors, detectors) =
        (running.detector_configs()?.to_json(), new.detector_configs()?.to_json());
    if running.without_detectors()? != new.without_detectors()? {
        tracing::warn!(
            "only the configuration of detectors changes while the engine runs; the rest waits for the next start"
        );
    }
    if old_detectors == detectors {
        tracing::info!("detectors stay as they are configured");
        return Ok(());
    }
    // One message for each change of the file: nothing that could pile up.
    #[expect(clippy::disallowed_methods, reason = "bounded by how often a person saves a file")]
    ingress.do_send(Reload { detectors });
    *running = new;
    Ok(())
}
