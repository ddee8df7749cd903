//! A deployment of `thicket up` of the previous release goes on with this build.

use std::fmt::Write as _;

use thicket_testkit::samples::now_seconds;
use thicket_testkit::skipped;

use super::previous::Previous;
use crate::deployment::Deployment;
use crate::support::{BINARY, stderr, stdout};

const SENSORS: i64 = 3;
/// Readings of a sensor: some are scored, the first ones are its warm-up.
const READINGS: i64 = 320;
/// The rows of `scores` with their number.
const ROWS: &str = "SELECT 'rows ' || count(*) FROM scores";

impl Deployment {
    /// Publishes readings of all sensors, one a second from `start` (Unix time) on.
    fn publish(&self, start: i64) {
        for sensor in 0..SENSORS {
            let mut readings = String::new();
            for n in 0..READINGS {
                writeln!(readings, r#"{{"ts":{},"x":{}}}"#, start + n, n * n % 17).unwrap();
            }
            let file = self.data.with_file_name("readings");
            std::fs::write(&file, readings).unwrap();
            let published =
                self.shell(&format!("mosquitto_pub -q 1 -t sensors/plant/{sensor} -l <{}", file.display()));
            assert!(published.status.success(), "{}", stderr(&published));
        }
    }

    fn query(&self, sql: &str) -> String {
        let answer = self.shell(&format!("psql --no-psqlrc -At -c \"{sql}\""));
        assert!(answer.status.success(), "{}", stderr(&answer));
        stdout(&answer).trim().to_owned()
    }

    /// Returns the number of rows before a time, and a digest of them from columns that a later
    /// release must keep.
    fn digest(&self, before: i64) -> String {
        self.query(&format!(
            "SELECT count(*), md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM
             (SELECT v.sensor, v.ts, v.field, v.value, s.seq, s.score, s.grade, s.warming_up
              FROM reading_values v JOIN scores s USING (sensor, ts) WHERE v.ts < to_timestamp({before})) t"
        ))
    }
}

#[test]
fn the_rows_of_thicket_up_stay_and_its_detectors_go_on() {
    let previous = match Previous::get() {
        Ok(previous) => previous,
        Err(why) => {
            skipped("the upgrade of thicket up from the previous release", &why);
            return;
        }
    };
    let mut deployment = Deployment::of(previous.binary.to_str().unwrap());
    deployment.up();
    let second = now_seconds() - 2 * READINGS;
    let first = second - 2 * READINGS;
    deployment.publish(first);
    deployment.until(ROWS, &format!("rows {}", SENSORS * READINGS));
    let digest = deployment.digest(second);
    assert!(digest.starts_with(&format!("{}|", SENSORS * READINGS)), "{digest}");
    let down = deployment.thicket(&["down"]);
    assert!(down.status.success(), "{}", stderr(&down));

    deployment.binary = BINARY.to_owned();
    deployment.up();
    assert_eq!(deployment.digest(second), digest);
    deployment.publish(second);
    deployment.until(ROWS, &format!("rows {}", 2 * SENSORS * READINGS));
    assert_eq!(deployment.digest(second), digest);
    let warming_up = format!("SELECT count(*) FROM scores WHERE warming_up AND ts >= to_timestamp({second})");
    assert_eq!(deployment.query(&warming_up), "0", "the detectors go on");
    let reconciled = deployment.shell("thicket reconcile");
    assert!(reconciled.status.success(), "{}{}", stdout(&reconciled), stderr(&reconciled));
}
