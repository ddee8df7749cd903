//! `thicket.toml` of the data directory. The user may change it; each start replaces the addresses
//! of the private servers in it, on the lines that end with a mark.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use thicket_compose::USER;

use super::place::Place;
use super::private_file;
use crate::toml_keys::table_of;

/// The comment of the lines that each start replaces.
const MARK: &str = "# thicket up sets this line";

/// The beginning of the comments that name the routes that an export leaves out.
const LEFT_OUT: &str = "# left out, because it has a secret: the notification route ";

/// The addresses of the private servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) mqtt: String,
    /// The file with the password at Mosquitto.
    pub(super) mqtt_password_file: String,
    pub(super) redis: String,
    pub(super) postgres: String,
    /// Host and port of the engine's HTTP server.
    pub(super) http: String,
}

impl Addresses {
    /// Returns the lines of the addresses, each with the start by which it is recognised.
    fn lines(&self) -> [(&'static str, String); 6] {
        let line = |key: &str, value: &str| format!("{key} = {} {MARK}", toml::Value::from(value));
        [
            ("url = \"mqtt", line("url", &self.mqtt)),
            ("username = ", line("username", USER)),
            ("password_file = ", line("password_file", &self.mqtt_password_file)),
            ("url = \"redis", line("url", &self.redis)),
            ("url = \"postgres", line("url", &self.postgres)),
            ("listen = ", line("listen", &self.http)),
        ]
    }

    /// Returns the configuration of a new deployment.
    fn first_text(&self) -> String {
        let [mqtt, user, password, redis, postgres, http] = self.lines().map(|(_, line)| line);
        format!(
            "# The configuration of this deployment. `thicket config --defaults` prints every key.\n\
             \n[mqtt]\n{mqtt}\n{user}\n{password}\n\n[redis]\n{redis}\n\n[postgres]\n{postgres}\n\n[http]\n{http}\n"
        )
    }

    /// Replaces the marked lines of a configuration. The lines of user and password follow the
    /// address of Mosquitto, also where an earlier version has written no such lines.
    fn replaced_in(&self, text: &str) -> String {
        let [mut mqtt, user, password, redis, postgres, http] = self.lines();
        mqtt.1 = format!("{}\n{}\n{}", mqtt.1, user.1, password.1);
        let lines = [mqtt, redis, postgres, http];
        let logins = [user.0, password.0];
        let mut replaced = String::with_capacity(text.len());
        for line in text.lines() {
            let is_marked = line.trim_end().ends_with(MARK);
            let begins_with = |start: &str| is_marked && line.trim_start().starts_with(start);
            if logins.iter().any(|start| begins_with(start)) {
                continue;
            }
            let own = lines.iter().find(|(start, _)| begins_with(start));
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
    replace(&path, &text)
}

/// Writes the configuration file of an import that has not ended. `text` has no addresses.
pub(super) fn write_imported(place: &Place, text: &str, addresses: &Addresses) -> anyhow::Result<()> {
    let mut keys = table_of("the configuration of the archive", text)?;
    let sections = [
        ("mqtt", "url", &addresses.mqtt),
        ("mqtt", "username", &USER.to_owned()),
        ("mqtt", "password_file", &addresses.mqtt_password_file),
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
    let own = sections.map(|(_, key, value)| format!("{key} = {}", toml::Value::from(value.as_str())));
    let mut marked = String::new();
    for line in text.lines() {
        let is_own = own.iter().any(|own| line == own);
        marked.push_str(line);
        marked.push_str(if is_own { " " } else { "" });
        marked.push_str(if is_own { MARK } else { "" });
        marked.push('\n');
    }
    replace(&place.import_config(), &marked)
}

/// A configuration that can move to another machine.
#[derive(Debug)]
pub(crate) struct Portable {
    /// TOML. A comment that begins with [`LEFT_OUT`] names each route that is left out.
    pub(crate) text: String,
    /// The names of the notification routes that are left out, because they have a secret.
    pub(crate) left_out: Vec<String>,
}

/// Returns the values of a configuration that can move to another machine: without addresses of
/// the servers, without secrets, and without routes that need a secret. `hidden` is the text that
/// stands for a secret, or for a part of one.
pub(crate) fn portable(mut keys: toml::Table, hidden: &str) -> anyhow::Result<Portable> {
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
    let left_out = drop_secret_routes(&mut keys, hidden);
    drop_hidden(&mut keys, hidden);
    let comments = left_out.iter().map(|name| format!("{LEFT_OUT}{}\n", name.escape_debug()));
    let text = comments.collect::<String>() + &toml::to_string(&keys)?;
    Ok(Portable { text, left_out })
}

/// Returns the names of the routes that were left out of a portable configuration.
pub(crate) fn left_out_of(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| Some(line.strip_prefix(LEFT_OUT)?.to_owned())).collect()
}

/// Removes the notification routes that have a secret, of their own or by default. Without it, a
/// route announces nothing, or announces to another address. Returns their names.
fn drop_secret_routes(keys: &mut toml::Table, hidden: &str) -> Vec<String> {
    let Some(notify) = keys.get_mut("notify").and_then(toml::Value::as_table_mut) else { return Vec::new() };
    let mut defaults = Vec::new();
    if let Some(route) = notify.get_mut("route").and_then(toml::Value::as_table_mut) {
        route.retain(|key, value| {
            let is_secret = has_hidden(value, hidden);
            defaults.extend(is_secret.then(|| key.to_owned()));
            !is_secret
        });
    }
    let mut names = Vec::new();
    if let Some(routes) = notify.get_mut("routes").and_then(toml::Value::as_array_mut) {
        routes.retain(|route| {
            let is_kept = !has_hidden(route, hidden) && defaults.iter().all(|key| route.get(key).is_some());
            if !is_kept {
                let name = route.get("name").and_then(toml::Value::as_str).unwrap_or_default();
                names.push(name.to_owned());
            }
            is_kept
        });
    }
    names
}

/// Whether a text of the value has the text that stands for a secret.
fn has_hidden(value: &toml::Value, hidden: &str) -> bool {
    match value {
        toml::Value::String(text) => text.contains(hidden),
        toml::Value::Array(elements) => elements.iter().any(|element| has_hidden(element, hidden)),
        toml::Value::Table(inner) => inner.values().any(|inner| has_hidden(inner, hidden)),
        _ => false,
    }
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

fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    private_file::replace(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(port: u16) -> Addresses {
        Addresses {
            mqtt: format!("mqtt://127.0.0.1:{port}"),
            mqtt_password_file: "/data/password".to_owned(),
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
        assert_eq!(addresses(1).replaced_in(&first), first);
    }

    #[test]
    fn a_configuration_without_passwords_gets_them() {
        let first = addresses(1).first_text();
        let is_login = |line: &&str| line.starts_with("username") || line.starts_with("password_file");
        let earlier: String =
            first.lines().filter(|line| !is_login(line)).flat_map(|line| [line, "\n"]).collect();
        assert!(!earlier.contains("password"), "{earlier}");
        assert_eq!(addresses(1).replaced_in(&earlier), first);
    }

    #[test]
    fn a_portable_configuration_has_settings_but_no_address_and_no_password() {
        let text = "[mqtt]\nurl = \"mqtt://a\"\npassword = \"***\"\ntopics = [\"t/#\"]\n[redis]\nurl = \"redis://b\"\n\
                    [detector]\nalarms_per_week = 3.0\n";
        let portable = portable(text.parse().unwrap(), "***").unwrap().text;
        assert!(left_out_of(&portable).is_empty());
        assert!(portable.contains("t/#") && portable.contains("alarms_per_week"), "{portable}");
        assert!(!portable.contains("url") && !portable.contains("password"), "{portable}");
    }

    #[test]
    fn a_portable_configuration_has_no_route_that_needs_a_secret() {
        let text = "[notify.route]\npassword = \"***\"\n\
            [[notify.routes]]\nname = \"slack\"\npassword = \"\"\nurl = \"https://hooks.slack.com/***\"\n\
            [[notify.routes]]\nname = \"mail\"\nreceiver = \"email\"\n\
            [[notify.routes]]\nname = \"headers\"\npassword = \"\"\nheaders = { a = \"***\" }\n\
            [[notify.routes]]\nname = \"file\"\npassword = \"\"\nurl_file = \"/run/url\"\n";
        let portable = portable(text.parse().unwrap(), "***").unwrap();
        assert_eq!(portable.left_out, ["slack", "mail", "headers"]);
        assert_eq!(left_out_of(&portable.text), portable.left_out);
        assert!(!portable.text.contains("***"), "{}", portable.text);
        let again: toml::Table = portable.text.parse().unwrap();
        assert_eq!(again["notify"]["routes"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn an_imported_configuration_has_the_addresses_of_its_new_place() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(Some(folder.path())).unwrap();
        write_imported(&place, "[mqtt]\ntopics = [\"t/#\"]\n", &addresses(7)).unwrap();
        assert!(place.refuse_half_import().is_err());
        fs::rename(place.import_config(), place.config()).unwrap();
        place.refuse_half_import().unwrap();
        write(&place, &addresses(8)).unwrap();
        let text = fs::read_to_string(place.config()).unwrap();
        assert_eq!(text.matches(":8").count(), 4, "{text}");
        assert!(text.contains("t/#"), "{text}");
    }
}
