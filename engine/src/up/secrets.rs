//! The passwords of a deployment: random, made at the first start, in files that only the user can
//! read.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use anyhow::Context as _;
use thicket_compose::{DEVICE, password_in};

use super::place::Place;

/// The programs of the package mosquitto-clients, which read a file of their own name.
const CLIENTS: [&str; 3] = ["mosquitto_pub", "mosquitto_sub", "mosquitto_rr"];

/// The passwords of a deployment.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secrets {
    /// That of the engine at every server.
    pub(super) engine: String,
    /// That of devices at Mosquitto.
    pub(super) device: String,
}

impl Secrets {
    /// Reads the passwords, and makes those that are missing.
    pub(super) fn of(place: &Place) -> anyhow::Result<Self> {
        Ok(Self { engine: password_in(&place.password())?, device: password_in(&place.device_password())? })
    }

    /// Writes the options with which `mosquitto_pub` and `mosquitto_sub` reach the broker, so that
    /// no password stands on a command line.
    pub(super) fn write_client_options(&self, place: &Place, port: u16) -> anyhow::Result<()> {
        let directory = place.clients();
        let text = format!("-h 127.0.0.1\n-p {port}\n-u {DEVICE}\n-P {}\n", self.device);
        let write = || {
            DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
            CLIENTS.iter().try_for_each(|name| write_private(&directory.join(name), &text))
        };
        write().with_context(|| format!("cannot write into {}", directory.display()))
    }
}

/// Writes a file that only the user can read. A reader sees the old content or the new one.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let partial = path.with_extension("partial");
    let _ = fs::remove_file(&partial);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&partial, path)
}
