//! Whether the section "Unreleased" of CHANGELOG.md names a change.

/// Returns the section "Unreleased". Right after a release it is missing.
pub(super) fn unreleased(text: &str) -> &str {
    let Some((_, rest)) = text.split_once("\n## Unreleased\n") else { return "" };
    rest.split_once("\n## ").map_or(rest, |(section, _)| section)
}

/// Whether a section names the thing that a line of the list is about: its whole name, the section
/// of a key, or the command of a flag.
pub(super) fn names(section: &str, line: &str) -> bool {
    let mut words = line.split_whitespace();
    let (Some(kind), Some(name)) = (words.next(), words.next()) else { return false };
    let table = name.rsplit_once('.').map_or(name, |(table, _)| table);
    let last = name.rsplit_once('.').map_or(name, |(_, last)| last);
    // `mqtt.reorder_x` is another name than `mqtt.reorder`.
    let quoted = |text: &str| {
        let ends =
            |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric() || "_.-".contains(next));
        let quoted = format!("`{text}");
        section.match_indices(&quoted).any(|(at, _)| ends(&section[at + quoted.len()..]))
    };
    match kind {
        "config" => quoted(name) || quoted(last) || section.contains(&format!("[{table}]")),
        // "command NAME: FLAG", where NAME can have spaces.
        "command" => {
            let (command, flag) = line["command ".len()..].split_once(": ").unwrap_or_default();
            quoted(command) || quoted(&format!("thicket {command}")) || (flag.len() > 2 && quoted(flag))
        }
        _ => quoted(name) || quoted(table),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_unreleased_section_counts() {
        let text = "# Changelog\n\n## Unreleased\n\n- `new`\n\n## 0.1.0\n\n- `old`\n";
        assert_eq!(unreleased(text), "\n- `new`\n");
        assert_eq!(unreleased("# Changelog\n\n## 0.1.0\n"), "");
    }

    #[test]
    fn a_change_is_named_by_its_name_in_backticks() {
        assert!(names("`mqtt.reorder`", "config mqtt.reorder = \"0s\""));
        assert!(names("New settings of `[mqtt]`: `root`", "config mqtt.root = \"\""));
        assert!(!names("`mqtt.reorder_most`", "config mqtt.reorder = \"0s\""));
        assert!(!names("mqtt and reorder", "config mqtt.reorder = \"0s\""));
        assert!(names("`thicket up --env`", "command up: --env"));
        assert!(names("`--json`", "command status: --json"));
        assert!(!names("up", "command up: --env"));
        assert!(names("the view `scores`", "view scores.onset real"));
        assert!(names("`thicket_x_total`", "metric thicket_x_total counter broker"));
        assert!(!names("", "version checkpoint = 2"));
        assert!(names("the version of `checkpoint`s", "version checkpoint = 2"));
    }
}
