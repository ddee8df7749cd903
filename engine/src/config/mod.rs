//! The configuration: shipped defaults, a file, the environment and flags, in this order. An
//! unknown key is an error that names the key and its source.
//!
//! - `default.toml`: the defaults, and the reference of every key.
//! - `root`: the whole configuration, and the checks that no type can express.
//! - `sections`: a struct per section; `mqtt` has those of the brokers, `notify` those of
//!   notifications.
//! - `paths`: relative paths of a file.
//! - `sources`: reads a configuration. `environment`: the variables, and files of secrets.
//!   `secret_files`: who can read these files.
//! - `extract`: reads keys into a struct, and reports every problem. `origins`: where a key has its
//!   value. `problems`: all problems, each with its place. `keys`: the names of keys.
//! - `memory`: bounds of memory. `machine`: the memory that the process may use.
//! - `tls`: the settings of TLS connections. `log_level`: the check of `log.level`.

mod duration;
mod environment;
mod error;
mod extract;
mod keys;
mod log_level;
mod machine;
mod memory;
mod mqtt;
mod notify;
mod origins;
mod paths;
mod problems;
mod root;
mod secret_files;
mod sections;
mod sources;
mod tls;

pub(crate) use environment::unknown_variables;
pub(crate) use error::ConfigError;
pub(crate) use machine::{NODE_BYTES, machine_memory};
pub(crate) use mqtt::{BrokerConfig, MessageConfig, MqttConfig, merge_subscription};
pub(crate) use problems::ConfigProblems;
pub(crate) use root::Config;
pub(crate) use secret_files::{SecretFile, is_secret};
pub(crate) use sections::{HttpConfig, LogConfig, LogFormat};
pub(crate) use sources::{DEFAULT_FILE, Loaded, Overrides, default_keys, default_text, load, load_http};

#[cfg(test)]
mod tests;
