//! Names of fields that are no measurements: identifiers, times, link quality, battery, counters of
//! messages. Such fields are stored, but they are not part of the point.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wildmatch::WildMatch;

/// Patterns of the names of fields that are not scored. `*` matches any text and `?` any character.
///
/// A pattern without capital letters is compared with the name in lower case and with `_` between
/// its words, so `*_id` also matches `deviceId` and `Device-ID`, but not `humid`. A pattern with
/// capital letters is compared with the name as it is. Both are compared with the whole name and
/// with its last segment: `rssi` matches `Wifi.RSSI`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Exclude(Arc<Patterns>);

#[derive(Debug)]
struct Patterns {
    texts: Vec<String>,
    /// Each pattern, ready to be compared: all of them are compared with every field of every new
    /// sensor.
    matchers: Vec<Matcher>,
}

#[derive(Debug)]
struct Matcher {
    /// Whether the pattern has capital letters.
    is_cased: bool,
    wild: WildMatch,
}

impl PartialEq for Exclude {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.texts == other.0.texts
    }
}

impl Eq for Exclude {}

impl Matcher {
    fn new(pattern: &str) -> Self {
        let is_cased = pattern.chars().any(char::is_uppercase);
        let text = if is_cased { pattern.to_owned() } else { pattern.replace(is_separator, "_") };
        let wild = WildMatch::new(&text);
        Self { is_cased, wild }
    }
}

impl Exclude {
    /// Creates the list from its patterns.
    pub fn new(patterns: Vec<String>) -> Self {
        let matchers = patterns.iter().map(|pattern| Matcher::new(pattern)).collect();
        Self(Arc::new(Patterns { texts: patterns, matchers }))
    }

    /// Returns the patterns, in their order.
    pub fn patterns(&self) -> &[String] {
        &self.0.texts
    }

    /// Returns the first pattern that matches a name, or `None` if no pattern does.
    pub fn matching(&self, name: &str) -> Option<&str> {
        let words = in_words(name);
        let segment = name.rsplit(['.', '/']).next().unwrap_or(name);
        let segment_words = in_words(segment);
        let is_whole = segment.len() == name.len();
        let matches = |Matcher { is_cased, wild }: &Matcher| {
            let (name, segment) = if *is_cased { (name, segment) } else { (&*words, &*segment_words) };
            wild.matches(name) || (!is_whole && wild.matches(segment))
        };
        let first = self.0.matchers.iter().position(matches)?;
        Some(&self.0.texts[first])
    }
}

impl From<Vec<String>> for Exclude {
    fn from(patterns: Vec<String>) -> Self {
        Self::new(patterns)
    }
}

impl From<Exclude> for Vec<String> {
    fn from(exclude: Exclude) -> Self {
        exclude.0.texts.clone()
    }
}

impl Default for Exclude {
    fn default() -> Self {
        Self::new(SHIPPED.iter().map(|&pattern| pattern.to_owned()).collect())
    }
}

/// Returns a name in lower case, with `_` between its words. A word begins after a character that
/// is neither a letter nor a digit, and at a capital letter after a small one. The last of several
/// capital letters begins a word if a small letter follows it.
fn in_words(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut words = String::with_capacity(name.len() + 4);
    for (index, &letter) in letters.iter().enumerate() {
        if !letter.is_alphanumeric() {
            words.push('_');
            continue;
        }
        let before = index.checked_sub(1).map(|before| letters[before]);
        let begins_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_numeric()
                    || before.is_uppercase() && letters.get(index + 1).is_some_and(|next| next.is_lowercase())
            });
        if begins_word {
            words.push('_');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

/// Returns whether a character of a pattern separates words.
fn is_separator(letter: char) -> bool {
    !letter.is_alphanumeric() && letter != '*' && letter != '?'
}

/// The list that a configuration has by default. `engine/src/config/default.toml` repeats it.
#[rustfmt::skip]
const SHIPPED: &[&str] = &[
    // Identifiers.
    "id", "*_id", "uid", "*_uid", "uuid", "*_uuid", "guid", "eui", "*_eui", "mac", "imei", "imsi", "iccid",
    "serial", "serial_n*", "*_serial",
    // Times.
    "time", "date", "date_time", "datetime", "*_datetime", "timestamp", "*_timestamp", "time_stamp", "ts", "*_ts",
    "tst", "epoch", "*_epoch", "*_date", "*_at", "last_seen", "local_time", "utc_time", "unix_time", "gps_time",
    "system_time", "device_time", "server_time", "event_time", "sample_time", "boot_time",
    // Uptimes.
    "uptime", "uptime_*", "*_uptime", "up_time", "uptimesec",
    // Radio link.
    "linkquality", "link_quality", "lqi", "*_lqi", "rssi", "rssi_*", "*_rssi", "snr", "*_snr", "lora_snr", "rsrp",
    "rsrq", "sinr", "csq", "signal_strength", "signal_quality", "wifi_signal", "spreading_factor", "channel",
    "*_channel",
    // Battery.
    "battery", "battery_level", "battery_low", "battery_percent*", "battery_state", "battery_status",
    "battery_voltage", "battery_v", "battery_mv", "low_battery", "bat", "bat_*", "*_bat", "batt", "batt_*", "*_batt",
    "batv", "vbat", "vbatt",
    // Memory of the device.
    "heap", "heap_*", "*_heap", "free_mem*",
    // Counters of messages and restarts.
    "seq", "*_seq", "seq_*", "seqno", "sequence", "sequence_*", "f_cnt", "fcnt", "f_cnt_*", "frame_count*",
    "message_count", "msg_count", "packet_count", "mqtt_count", "link_count", "boot_count", "reboot_count",
    "restart_count", "reset_count",
    // Versions and ports.
    "version", "*_version", "firmware", "firmware_*", "fw", "fw_*", "f_port", "fport", "port",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_by_their_words() {
        for (name, words) in [
            ("deviceId", "device_id"),
            ("Device-ID", "device_id"),
            ("WiFiRSSI", "wi_fi_rssi"),
            ("Wifi.RSSI", "wifi_rssi"),
            ("humid", "humid"),
            ("fCnt", "f_cnt"),
            ("PM2.5", "pm2_5"),
            ("IAQAccuracy", "iaq_accuracy"),
            ("in1Level", "in1_level"),
        ] {
            assert_eq!(in_words(name), words, "{name}");
        }
    }

    #[test]
    fn the_shipped_list_has_names_that_are_no_measurements_and_no_others() {
        let shipped = Exclude::default();
        for name in [
            "id",
            "deviceId",
            "sensor_id",
            "devEUI",
            "date_time",
            "uptime",
            "UptimeSec",
            "linkquality",
            "Wifi.RSSI",
            "rssi",
            "SNR",
            "battery",
            "BatV",
            "Heap",
            "uplink_message.f_cnt",
            "fPort",
            "meta/seq",
            "Wifi.LinkCount",
            "last_seen",
            "measuredAt",
            "Wifi.Channel",
            "rx_metadata.0.rssi",
            "time",
        ] {
            assert!(shipped.matching(name).is_some(), "{name}");
        }
        for name in [
            "temperature",
            "humid",
            "humidity",
            "ph",
            "co2",
            "acid",
            "fluid",
            "value",
            "response_time",
            "voltage",
            "frequency",
            "power",
            "grid",
            "signal",
            "level",
            "people_count",
            "battery_power",
            "rate",
            "statement",
            "port_side_temp",
            "bytes",
            "Energy.Today",
            "data",
            "update_rate",
            "laeq_db",
            "heat",
            "transport",
        ] {
            assert_eq!(shipped.matching(name), None, "{name}");
        }
    }

    #[test]
    fn a_pattern_with_capital_letters_is_compared_with_the_name_as_it_is() {
        let exclude = Exclude::new(vec!["*Temp".to_owned(), "wifi.*".to_owned()]);
        assert_eq!(exclude.matching("boardTemp"), Some("*Temp"));
        assert_eq!(exclude.matching("board.cpuTemp"), Some("*Temp"));
        assert_eq!(exclude.matching("boardtemp"), None);
        assert_eq!(exclude.matching("Wifi.Signal"), Some("wifi.*"));
    }
}
