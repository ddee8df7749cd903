//! The clock of this machine. Readings without a time are stored at its time, so an engine on a
//! machine that has not set its clock yet must not start.

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};

/// When this program was built, in seconds since the Unix epoch.
const BUILD_SECONDS: &str = env!("BUILD_SECONDS");
/// How far the clock of the machine that built the program may have been ahead.
const TOLERANCE: TimeDelta = TimeDelta::days(1);

/// Refuses a clock that is earlier than the build of this program.
pub(crate) fn refuse_early() -> anyhow::Result<()> {
    let seconds: i64 = BUILD_SECONDS.parse().context("the time of the build")?;
    let built = DateTime::from_timestamp(seconds, 0).context("the time of the build")?;
    refuse_before(built, Utc::now())
}

fn refuse_before(built: DateTime<Utc>, now: DateTime<Utc>) -> anyhow::Result<()> {
    anyhow::ensure!(
        now >= built - TOLERANCE,
        "the clock of this machine says {}, but this program was built at {}; set the clock",
        now.format("%Y-%m-%d %H:%M"),
        built.format("%Y-%m-%d %H:%M")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_never_set_is_refused() {
        refuse_early().unwrap();
        let built = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        refuse_before(built, built).unwrap();
        let error = refuse_before(built, DateTime::UNIX_EPOCH).unwrap_err().to_string();
        assert!(error.contains("1970-01-01 00:00") && error.contains("2026-09-21"), "{error}");
    }
}
