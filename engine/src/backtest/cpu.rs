//! How long a thread has computed.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// A stop watch that stands still while the thread does.
pub(super) struct CpuClock(Duration);

impl CpuClock {
    pub(super) fn start() -> Self {
        Self(computed())
    }

    /// Time on a processor since the start.
    pub(super) fn elapsed(&self) -> Duration {
        computed().saturating_sub(self.0)
    }
}

fn computed() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(tv_sec.cast_unsigned(), tv_nsec as u32)
}
