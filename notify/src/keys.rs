//! The keys by which a receiver recognises a repeat: deployment, sensor, begin of the anomaly, and
//! kind.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use thicket_schema::Timestamp;
use thicket_store::postgres::Member;
use xxhash_rust::xxh3::xxh3_64;

/// A key is the value of an HTTP header.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'"').add(b'<').add(b'>');
/// Maximum number of bytes of a key. `PagerDuty` takes 255.
const LONGEST: usize = 200;
/// Hexadecimal digits of a hash.
const HASH: usize = 16;

/// Returns the key of an anomaly.
pub(crate) fn of_anomaly(deployment: &str, sensor: &str, started: Timestamp) -> String {
    shortened(&format!("{deployment}/{sensor}/{started}"))
}

/// Returns the key of a site.
pub(crate) fn of_site(deployment: &str, site: &str) -> String {
    shortened(&format!("{deployment}/{site}"))
}

/// Returns the key of a message: that of its notification, or one of all its notifications.
pub(crate) fn of_message(deployment: &str, site: &str, members: &[Member]) -> String {
    let key = |member: &Member| {
        let Member { sensor, started, kind, item } = member;
        let item = if *item == 0 { String::new() } else { format!("/{item}") };
        format!("{deployment}/{sensor}/{started}/{kind}{item}")
    };
    match members {
        [member] => shortened(&key(member)),
        members => {
            let all: Vec<String> = members.iter().map(key).collect();
            shortened(&format!("{deployment}/{site}/{:016x}", xxh3_64(all.join("\n").as_bytes())))
        }
    }
}

/// Escapes a key, and replaces the end of a long one by a hash.
fn shortened(key: &str) -> String {
    let escaped = utf8_percent_encode(key, ESCAPED).to_string();
    if escaped.len() <= LONGEST {
        return escaped;
    }
    format!("{}-{:016x}", &escaped[..LONGEST - HASH - 1], xxh3_64(escaped.as_bytes()))
}

#[cfg(test)]
mod tests {
    use thicket_store::postgres::NotificationKind;

    use super::*;

    fn member(sensor: &str, kind: NotificationKind) -> Member {
        Member { sensor: sensor.to_owned(), started: Timestamp(1_000_000), kind, item: 0 }
    }

    #[test]
    fn a_key_names_deployment_sensor_begin_and_kind() {
        let one = of_message("d", "site", &[member("site/mic 7", NotificationKind::Opened)]);
        assert_eq!(one, "d/site/mic%207/1970-01-01T00:00:01.000000Z/opened");
        let two = [member("a", NotificationKind::Opened), member("a", NotificationKind::Ended)];
        let both = of_message("d", "site", &two);
        assert!(both.starts_with("d/site/") && both != of_message("d", "site", &two[..1]), "{both}");
        assert_eq!(both, of_message("d", "site", &two), "a repeat has the same key");
    }

    #[test]
    fn a_long_key_is_shortened_and_stays_different() {
        let (a, b) = (format!("{}a", "é".repeat(300)), format!("{}b", "é".repeat(300)));
        let [a, b] = [a, b].map(|name| of_site("d", &name));
        assert!(a.len() == LONGEST && a.is_ascii() && a != b, "{a} {b}");
    }
}
