//! The keys of a configuration.

/// Whether the tables of an array are written one below the other, each under its own heading.
pub(super) fn has_headings(key: &str) -> bool {
    matches!(key, "mqtt" | "subscriptions" | "detectors" | "routes")
}

/// Joins the key of a table and a name.
pub(super) fn join(table: &str, name: &str) -> String {
    if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") }
}
