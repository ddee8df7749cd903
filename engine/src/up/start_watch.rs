//! Follows the start of servers and engine, which takes as long as their data needs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use thicket_compose::{Patience, Watcher};

use crate::terminal::{errln, on_one_line};

/// Reports servers that take long, and gives up after a signal.
#[derive(Debug)]
struct StartWatch {
    stop: Arc<AtomicBool>,
}

impl Watcher for StartWatch {
    fn is_cancelled(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn hear(&self, server: &'static str, state: &str, elapsed: Duration) {
        errln!("thicket: {server} {}, {} s", on_one_line(state), elapsed.as_secs());
    }
}

/// Returns the patience for servers of a deployment that stays. `stop` ends the wait.
pub(super) fn patience(stop: Arc<AtomicBool>) -> Patience {
    Patience::WhileStarting(Arc::new(StartWatch { stop }))
}
