//! The command lines of `thicket up` and `thicket down`.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

/// The description of `thicket up`.
pub(crate) const ABOUT: &str = "Starts a deployment of your own on this machine, without Docker: Redis, Mosquitto and PostgreSQL \
of the distribution, all private, and the engine. Returns when the engine is ready.

Everything is kept in one data directory, and the next start continues with the same data. The servers listen on 127.0.0.1 and ask for a password; --listen lets devices \
of the network publish. \
thicket.toml in the data directory is the configuration; change it as you like.";

/// The arguments of `thicket up`.
#[derive(Clone, Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct UpArgs {
    /// The data directory [default: ~/.local/share/thicket; for root /var/lib/thicket-up].
    #[arg(long, value_name = "DIR", env = "THICKET_DATA")]
    pub(super) data: Option<PathBuf>,
    /// Stay in the foreground, until Ctrl-C or SIGTERM. For a service manager.
    #[arg(long)]
    pub(super) foreground: bool,
    /// Use free ports where the ports of the last start, or the default ports, are taken.
    #[arg(long)]
    pub(super) free_ports: bool,
    /// Address of this machine at which devices of the network reach Mosquitto; 0.0.0.0 is every
    /// address, 127.0.0.1 is this machine only [default: that of the last start, or 127.0.0.1].
    #[arg(long, value_name = "ADDRESS")]
    pub(super) listen: Option<IpAddr>,
    /// Port of Mosquitto [default: that of the last start, or 1883].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) mqtt_port: Option<u16>,
    /// Port of Redis [default: that of the last start, or 14379].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) redis_port: Option<u16>,
    /// Port of PostgreSQL [default: that of the last start, or 14432].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) postgres_port: Option<u16>,
    /// Port of the engine's HTTP server [default: that of the last start, or 9464].
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) http_port: Option<u16>,
    /// Show whether the deployment runs, its addresses and its log files. Exits with 1 if it does
    /// not run.
    #[arg(long, conflicts_with_all = ["foreground", "env", "logs"])]
    pub(super) status: bool,
    /// Print variables for the shell, so that thicket, psql and redis-cli find the deployment:
    /// eval "$(thicket up --env)"
    #[arg(long, conflicts_with_all = ["foreground", "logs"])]
    pub(super) env: bool,
    /// Show the last lines of each log file.
    #[arg(long, conflicts_with = "foreground")]
    pub(super) logs: bool,
    /// Number of lines that --logs shows of each file.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(super) lines: usize,
    /// Leave the session of the terminal. The background start sets it.
    #[arg(long, hide = true, requires = "foreground")]
    pub(super) detached: bool,
}

/// The arguments of `thicket down`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DownArgs {
    /// The data directory [default: ~/.local/share/thicket; for root /var/lib/thicket-up].
    #[arg(long, value_name = "DIR", env = "THICKET_DATA")]
    pub(super) data: Option<PathBuf>,
}
