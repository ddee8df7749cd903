//! `thicket.toml` of the data directory. The user may change it; each start replaces the addresses
//! of the private servers in it, on the lines that end with a mark.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::Context as _;

use super::place::Place;

/// The comment of the lines that each start replaces.
const MARK: &str = "# thicket up sets this line";

/// The addresses of the private servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) mqtt: String,
    pub(super) redis: String,
    pub(super) postgres: String,
    /// Host and port of the engine's HTTP server.
    pub(super) http: String,
}

impl Addresses {
    /// Returns the lines of the addresses, each with the start by which it is recognised.
    fn lines(&self) -> [(&'static str, String); 4] {
        let line = |key: &str, value: &str| format!("{key} = {} {MARK}", toml::Value::from(value));
        [
            ("url = \"mqtt", line("url", &self.mqtt)),
            ("url = \"redis", line("url", &self.redis)),
            ("url = \"postgres", line("url", &self.postgres)),
            ("listen = ", line("listen", &self.http)),
        ]
    }

    /// Returns the configuration of a new deployment.
    fn first_text(&self) -> String {
        let [mqtt, redis, postgres, http] = self.lines().map(|(_, line)| line);
        format!(
            "# The configuration of this deployment. `thicket config --defaults` prints every key.\n\
             \n[mqtt]\n{mqtt}\n\n[redis]\n{redis}\n\n[postgres]\n{postgres}\n\n[http]\n{http}\n"
        )
    }

    /// Replaces the marked lines of a configuration.
    fn replaced_in(&self, text: &str) -> String {
        let lines = self.lines();
        let mut replaced = String::with_capacity(text.len());
        for line in text.lines() {
            let is_marked = line.trim_end().ends_with(MARK);
            let own = lines.iter().find(|(start, _)| is_marked && line.trim_start().starts_with(start));
            replaced.push_str(own.map_or(line, |(_, own)| own));
            replaced.push('\n');
        }
        replaced
    }
}

/// Writes the addresses into the configuration file, and creates the file if it is missing. Only
/// the user may read it: it can hold passwords.
pub(super) fn write(place: &Place, addresses: &Addresses) -> anyhow::Result<()> {
    let path = place.config();
    let text = match fs::read_to_string(&path) {
        Ok(text) => addresses.replaced_in(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => addresses.first_text(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    replace(place, &text)
}

/// Writes the configuration file of a deployment that is imported. `text` has no addresses.
pub(super) fn write_imported(place: &Place, text: &str, addresses: &Addresses) -> anyhow::Result<()> {
    let mut keys: toml::Table = text.parse().context("the configuration of the archive cannot be read")?;
    let sections = [
        ("mqtt", "url", &addresses.mqtt),
        ("redis", "url", &addresses.redis),
        ("postgres", "url", &addresses.postgres),
        ("http", "listen", &addresses.http),
    ];
    for (section, key, value) in sections {
        let table = keys.entry(section).or_insert_with(|| toml::Table::new().into());
        // Several brokers are an array: the first one is replaced by the private broker.
        let table = match table {
            toml::Value::Array(brokers) => brokers.first_mut(),
            table => Some(table),
        };
        if let Some(table) = table.and_then(toml::Value::as_table_mut) {
            table.insert(key.to_owned(), value.as_str().into());
        }
    }
    let text = toml::to_string(&keys)?;
    let values = [&addresses.mqtt, &addresses.redis, &addresses.postgres, &addresses.http];
    let own = values.map(|value| toml::Value::from(value.as_str()).to_string());
    let mut marked = String::new();
    for line in text.lines() {
        let is_own = own.iter().any(|value| line.ends_with(&format!("= {value}")));
        marked.push_str(line);
        marked.push_str(if is_own { " " } else { "" });
        marked.push_str(if is_own { MARK } else { "" });
        marked.push('\n');
    }
    replace(place, &marked)
}

/// Returns the values of a configuration that can move to another machine: without addresses of
/// the servers, and without secrets. `hidden` is the text that stands for a secret. Returns TOML.
pub(crate) fn portable(mut keys: toml::Table, hidden: &str) -> anyhow::Result<String> {
    let of_server: [(&str, &[&str]); 4] = [
        ("mqtt", &["url", "username", "tls"]),
        ("redis", &["url", "tls"]),
        ("postgres", &["url", "tls"]),
        ("http", &["listen", "read_token_file", "operate_token_file"]),
    ];
    for (section, own) in of_server {
        let section = match keys.get_mut(section) {
            // Further brokers keep their addresses.
            Some(toml::Value::Array(brokers)) => brokers.first_mut(),
            section => section,
        };
        if let Some(table) = section.and_then(toml::Value::as_table_mut) {
            for key in own {
                table.remove(*key);
            }
        }
    }
    drop_hidden(&mut keys, hidden);
    Ok(toml::to_string(&keys)?)
}

fn drop_hidden(keys: &mut toml::Table, hidden: &str) {
    keys.retain(|_, value| value.as_str() != Some(hidden));
    for (_, value) in keys.iter_mut() {
        match value {
            toml::Value::Table(inner) => drop_hidden(inner, hidden),
            toml::Value::Array(elements) => {
                elements
                    .iter_mut()
                    .filter_map(toml::Value::as_table_mut)
                    .for_each(|inner| drop_hidden(inner, hidden));
            }
            _ => {}
        }
    }
}

fn replace(place: &Place, text: &str) -> anyhow::Result<()> {
    let path = place.config();
    let partial = path.with_extension("toml.partial");
    let write = || {
        // A file that an earlier start left may have another mode.
        let _ = fs::remove_file(&partial);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&partial, &path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(port: u16) -> Addresses {
        Addresses {
            mqtt: format!("mqtt://127.0.0.1:{port}"),
            redis: format!("redis://127.0.0.1:{port}"),
            postgres: format!("postgres://thicket@127.0.0.1:{port}/thicket"),
            http: format!("127.0.0.1:{port}"),
        }
    }

    #[test]
    fn a_start_replaces_its_own_lines_and_keeps_those_of_the_user() {
        let first = addresses(1).first_text();
        let changed = first.replace("[redis]", "topics = [\"plant/#\"]\n\n[redis]")
            + "\n[[mqtt.subscriptions]]\nurl = \"mqtt://other\"\n";
        let again = addresses(2).replaced_in(&changed);
        assert_eq!(again.matches(":2").count(), 4, "{again}");
        assert!(!again.contains("127.0.0.1:1"), "{again}");
        assert!(again.contains("topics = [\"plant/#\"]") && again.contains("url = \"mqtt://other\""));
        assert!(first.parse::<toml::Table>().is_ok());
    }

    #[test]
    fn a_portable_configuration_has_settings_but_no_address_and_no_password() {
        let text = "[mqtt]\nurl = \"mqtt://a\"\npassword = \"***\"\ntopics = [\"t/#\"]\n[redis]\nurl = \"redis://b\"\n\
                    [detector]\nalarms_per_week = 3.0\n";
        let portable = portable(text.parse().unwrap(), "***").unwrap();
        assert!(portable.contains("t/#") && portable.contains("alarms_per_week"), "{portable}");
        assert!(!portable.contains("url") && !portable.contains("password"), "{portable}");
    }

    #[test]
    fn an_imported_configuration_has_the_addresses_of_its_new_place() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(Some(folder.path())).unwrap();
        write_imported(&place, "[mqtt]\ntopics = [\"t/#\"]\n", &addresses(7)).unwrap();
        write(&place, &addresses(8)).unwrap();
        let text = fs::read_to_string(place.config()).unwrap();
        assert_eq!(text.matches(":8").count(), 4, "{text}");
        assert!(text.contains("t/#"), "{text}");
    }
}
