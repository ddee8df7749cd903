//! What the demo plays, and where.

use std::{path::PathBuf, time::Duration};

/// The parameters of a demo.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// The demo ends after this time; `None`: at Ctrl-C.
    pub duration: Option<Duration>,
    /// Number of microphones.
    pub sensors: u32,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The event time that is replayed before live readings begin.
    pub history: Duration,
    /// A folder in UrbanSound8K's layout; `None`: a synthetic data set is written.
    pub data: Option<PathBuf>,
    /// The directory of the servers' data and logs; `None`: a temporary directory, which is
    /// removed at the end.
    pub directory: Option<PathBuf>,
    /// The binary `thicket`; `None`: the one beside this executable, or else the one on `PATH`.
    pub engine: Option<PathBuf>,
}
