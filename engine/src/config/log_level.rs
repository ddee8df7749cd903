//! `log.level`: a level, or filters such as `info,thicket_actors=debug`.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use crate::similar::suggestion;

/// The levels.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Checks a level. The library takes a word that is no level as the name of a module, and turns off
/// everything else. Here, a module needs a level: `thicket_actors=debug`.
pub(super) fn check(text: &str) -> Result<(), String> {
    let filters: Vec<&str> = text.split(',').collect();
    for filter in &filters {
        check_filter(filter, filters.len() > 1)?;
    }
    // What is wrong with spans and fields is in the words of the library.
    EnvFilter::try_new(text).map(drop).map_err(|error| format!("{text:?} is no filter: {error}"))
}

fn check_filter(filter: &str, is_one_of_several: bool) -> Result<(), String> {
    // A filter can have spans with fields: `module[span{field=value}]=level`.
    let after_span = filter.rfind([']', '}']).map_or(filter, |end| &filter[end + 1..]);
    let level = match after_span.split_once('=') {
        Some((_, level)) => level,
        None if filter.contains('[') => return Ok(()),
        None => filter,
    };
    let is_left_out = filter.is_empty() && is_one_of_several;
    if is_left_out || !level.is_empty() && level.parse::<LevelFilter>().is_ok() {
        return Ok(());
    }
    let of = if is_one_of_several || level != filter { format!(" in {filter:?}") } else { String::new() };
    let levels = LEVELS.join(", ");
    let meant = suggestion(level, &LEVELS);
    Err(format!(
        "{level:?}{of} is no level ({levels}), and no filter such as info,thicket_actors=debug{meant}"
    ))
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn levels_and_filters_are_accepted() {
        for text in [
            "off",
            "error",
            "warn",
            "info",
            "debug",
            "trace",
            "INFO",
            "info,thicket_actors=debug",
            "thicket=warn,fred=off",
            "info,thicket[connect{broker=1}]=trace",
            "thicket[connect]",
            "info,",
            "3",
            "thicket=5",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for (text, expected) in [
            ("inof", "\"inof\" is no level (off, error, warn, info, debug, trace)"),
            ("verbose", "\"verbose\" is no level"),
            ("", "\"\" is no level"),
            ("info,thicket_actrs=debg", "\"debg\" in \"thicket_actrs=debg\" is no level"),
            ("info,thicket_actors", "\"thicket_actors\" in "),
            ("info,thicket=", "\"\" in \"thicket=\" is no level"),
        ] {
            let found = check(text).unwrap_err();
            assert!(found.starts_with(expected), "{text}: {found}");
        }
        assert!(check("inof").unwrap_err().ends_with("; did you mean info?"));
        assert!(check("info,a=debg").unwrap_err().ends_with("; did you mean debug?"));
        let broken = check("info,thicket[connect=debug").unwrap_err();
        assert!(broken.contains("thicket[connect"), "{broken}");
    }
}
