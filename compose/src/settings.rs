//! Replaces settings of the shipped configuration files, for a private instance.

/// Replaces the lines of the named settings by the given lines, and keeps their indentation.
///
/// The name of a setting is the text before the first space, `:` or `=`. Panics if the file lacks a
/// setting, because file and code then no longer fit together.
pub(crate) fn replace(file: &str, settings: &[(&str, String)]) -> String {
    let mut used = vec![false; settings.len()];
    let mut text = String::with_capacity(file.len());
    for line in file.lines() {
        let name = setting_name(line);
        if let Some(index) = settings.iter().position(|(setting, _)| *setting == name) {
            used[index] = true;
            let indent = &line[..line.len() - line.trim_start().len()];
            text.push_str(indent);
            text.push_str(&settings[index].1);
        } else {
            text.push_str(line);
        }
        text.push('\n');
    }
    for ((setting, _), used) in settings.iter().zip(used) {
        assert!(used, "the shipped configuration file has no setting `{setting}` to replace");
    }
    text
}

fn setting_name(line: &str) -> &str {
    let line = line.trim_start().trim_start_matches("- ");
    line.split([' ', ':', '=']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn a_named_setting_is_replaced_and_the_rest_is_kept() {
        let file = "# listener is below\nlistener 1883\n  scrape_interval: 5s\nlisteners 2\n";
        let text = replace(
            file,
            &[("listener", "listener 9".into()), ("scrape_interval", "scrape_interval: 1s".into())],
        );
        assert_eq!(text, "# listener is below\nlistener 9\n  scrape_interval: 1s\nlisteners 2\n");
    }

    #[test]
    #[should_panic(expected = "no setting `port`")]
    fn a_setting_that_is_not_there_is_a_bug() {
        replace("listener 1883\n", &[("port", "port 1".into())]);
    }
}
