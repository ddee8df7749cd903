//! Paths of a configuration file. The working directory of an engine is often `/`, so a relative path
//! begins in the folder of the file.

use std::path::Path;

use figment::value::{Dict, Value};

/// The endings and names of keys whose texts are paths.
const ENDING: &str = "_file";
const NAMES: [&str; 2] = ["ca", "cert"];
/// Is the path of a private key in a section `tls`.
const KEY: &str = "key";
/// Has names of its own.
const HEADERS: &str = "headers";

/// Lets each relative path begin in a folder.
pub(super) fn resolve(keys: &mut Dict, folder: &Path) {
    resolve_section(keys, folder, "");
}

fn resolve_section(keys: &mut Dict, folder: &Path, section: &str) {
    for (name, value) in keys {
        match value {
            Value::Dict(_, inner) if name != HEADERS => resolve_section(inner, folder, name),
            Value::Array(_, elements) => {
                for element in elements {
                    if let Value::Dict(_, inner) = element {
                        resolve_section(inner, folder, name);
                    }
                }
            }
            Value::String(_, path) if is_path(name, section) && !path.is_empty() => {
                // The name of a folder that is no text cannot be a value.
                if let Some(resolved) = folder.join(&*path).to_str() {
                    resolved.clone_into(path);
                }
            }
            _ => {}
        }
    }
}

fn is_path(name: &str, section: &str) -> bool {
    name.ends_with(ENDING) || NAMES.contains(&name) || (section == "tls" && name == KEY)
}
