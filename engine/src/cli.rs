//! The command line.

#![allow(clippy::doc_markdown, reason = "these doc comments are help texts, in which backticks would show")]

use std::path::PathBuf;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use thicket_connect::has_password;

use crate::anomalies::args::AnomaliesCommand;
use crate::backtest::args::BacktestArgs;
use crate::check::CheckArgs;
use crate::config::{LogFormat, Overrides};
use crate::deadletters::args::DeadletterCommand;
use crate::discover::DiscoverArgs;
use crate::explain::args::ExplainArgs;
use crate::generate::{CompletionsArgs, ManArgs};
use crate::migrate::MigrateArgs;
use crate::notify::args::NotifyCommand;
use crate::plan::PlanArgs;
use crate::presets::PresetsCommand;
use crate::quarantine::args::QuarantineCommand;
use crate::reconcile::args::{ABOUT as RECONCILE, ReconcileArgs};
use crate::revision::VERSION;
use crate::sensor_fields::args::SensorsCommand;
use crate::show_config::ConfigArgs;
use crate::status::StatusArgs;
use crate::transfer::{ABOUT_EXPORT, ABOUT_IMPORT, ExportArgs, ImportArgs};
use crate::try_message::TryArgs;
use crate::up::{ABOUT as UP, DownArgs, UpArgs};

/// Thicket: a forest for every sensor.
///
/// Readings arrive over MQTT and queue in Redis. One Robust Random Cut Forest per sensor scores
/// them. PostgreSQL stores them with their anomaly scores.
#[derive(Debug, Parser)]
#[command(name = "thicket", version = VERSION, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// Configuration file [default: thicket.toml, if it exists].
    #[arg(long, short, global = true, value_name = "FILE", env = CONFIG, value_parser = possibly_empty(), help_heading = COMMON)]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) flags: Flags,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The variable with the path of the configuration file.
const CONFIG: &str = "THICKET_CONFIG";

/// Reads a path. An empty variable must be readable to be taken as unset.
fn possibly_empty() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

impl Cli {
    /// Reads the arguments of the process. An empty variable `THICKET_CONFIG` is as none.
    pub(crate) fn of_process() -> Self {
        let mut cli = Self::parse();
        let is_empty_variable = std::env::var_os(CONFIG).is_some_and(|path| path.is_empty());
        cli.config = cli.config.filter(|path| !is_empty_variable || !path.as_os_str().is_empty());
        cli
    }
}

const EXIT_CODES: &str = "Exit codes:
  0  success
  1  the command failed, or a check failed
  2  the command line or the configuration is wrong
  3  the engine gave up: an actor panicked too often, a thread hung, or another node took over; restart it
  4  the engine did not stop within shutdown.deadline; no data is lost";

/// Heading of the flags that every command takes.
const COMMON: &str = "Common options";

/// Flags that override every other source of the configuration.
#[derive(Debug, Args)]
#[command(next_help_heading = COMMON)]
pub(crate) struct Flags {
    /// Log level or filters, such as info or info,thicket_actors=debug.
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Log format.
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// URL of the broker, without a password: mqtt://host:port.
    #[arg(long, global = true, value_name = "URL")]
    mqtt: Option<String>,
    /// URL of Redis, without a password: redis://host:port.
    #[arg(long, global = true, value_name = "URL")]
    redis: Option<String>,
    /// URL of PostgreSQL, without a password: postgres://user@host:port/database.
    #[arg(long, global = true, value_name = "URL")]
    postgres: Option<String>,
}

impl Flags {
    /// Refuses a password on the command line: every user of the machine can see it there.
    pub(crate) fn check(&self) -> Result<(), String> {
        let urls = [("mqtt", &self.mqtt), ("redis", &self.redis), ("postgres", &self.postgres)];
        match urls.iter().find(|(_, url)| url.as_deref().is_some_and(has_password)) {
            None => Ok(()),
            Some((flag, _)) => Err(format!(
                "--{flag} contains a password, which every user of this machine can see; put the URL into the configuration file, into THICKET__{0}__URL, or into a file that THICKET__{0}__URL_FILE names",
                flag.to_uppercase()
            )),
        }
    }

    /// Returns the given flags as configuration keys and values.
    pub(crate) fn overrides(&self) -> Overrides {
        let format = self.log_format.map(|format| match format {
            LogFormat::Text => "text".to_owned(),
            LogFormat::Json => "json".to_owned(),
        });
        let flags = [
            ("log.level", self.log_level.clone()),
            ("log.format", format),
            ("mqtt.url", self.mqtt.clone()),
            ("redis.url", self.redis.clone()),
            ("postgres.url", self.postgres.clone()),
        ];
        flags.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the engine until SIGTERM or Ctrl-C. Then it drains, saves every detector and exits 0.
    Run,
    /// Starts a deployment of your own on this machine: private Redis, Mosquitto and PostgreSQL,
    /// and the engine.
    #[command(long_about = UP)]
    Up(UpArgs),
    /// Stops the deployment of thicket up. Its data stays.
    Down(DownArgs),
    /// Writes a deployment into one file: configuration, rows, positions, checkpoints and the log.
    #[command(long_about = ABOUT_EXPORT)]
    Export(ExportArgs),
    /// Fills empty servers from a file of thicket export, and compares the digest of the rows.
    #[command(long_about = ABOUT_IMPORT)]
    Import(ImportArgs),
    /// Validates the configuration and connects to every server. Reports failures and how to fix
    /// them.
    Check(CheckArgs),
    /// Creates or updates the tables in PostgreSQL. Does nothing if they are up to date.
    Migrate(MigrateArgs),
    /// Asks the engine at http.listen whether it is ready, for health checks. Exits 1 if it is not.
    Ready,
    /// Shows the ledger, the records in flight, the brokers, the detectors, and losses; then the
    /// partitions that have no owner or lag behind.
    Status(StatusArgs),
    /// Proves the ledger against Redis and PostgreSQL: every delivered message is accounted for.
    #[command(long_about = RECONCILE)]
    Reconcile(ReconcileArgs),
    /// Shows, republishes or deletes dead letters: messages and readings that could not be
    /// processed.
    Deadletter {
        #[command(subcommand)]
        command: DeadletterCommand,
    },
    /// Shows quarantined readings: readings that crash the engine or that PostgreSQL rejects. They
    /// are skipped.
    Quarantine {
        #[command(subcommand)]
        command: QuarantineCommand,
    },
    /// Lists sensors, shows which fields of a sensor are scored, and resets or forgets a sensor.
    Sensors {
        #[command(subcommand)]
        command: SensorsCommand,
    },
    /// Lists anomalies and labels them.
    Anomalies {
        #[command(subcommand)]
        command: AnomaliesCommand,
    },
    /// Tests a route of notifications, lists notifications, and silences sensors.
    Notify {
        #[command(subcommand)]
        command: NotifyCommand,
    },
    /// Computes a detection again and explains it.
    Explain(ExplainArgs),
    /// Listens to a broker and shows which settings read its messages, which sensors and fields they
    /// give, and what is left out.
    Discover(DiscoverArgs),
    /// Shows step by step what one message becomes under the configuration.
    Try(TryArgs),
    /// Shows the presets: the settings for well-known devices.
    Presets {
        #[command(subcommand)]
        command: PresetsCommand,
    },
    /// Scores past readings with another configuration and shows what it would have found, missed
    /// and cost.
    Backtest(BacktestArgs),
    /// Says what a fleet of sensors needs of memory, Redis, PostgreSQL and CPU, and prints the settings
    /// for it. Connects to no server.
    Plan(PlanArgs),
    /// Shows the configuration that is in force, with the origin of each value. Passwords are hidden.
    Config(ConfigArgs),
    /// Prints completions for a shell, such as: thicket completions bash >
    /// /etc/bash_completion.d/thicket
    Completions(CompletionsArgs),
    /// Prints the man page.
    Man(ManArgs),
}
