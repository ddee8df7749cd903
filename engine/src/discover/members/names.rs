//! Ranks members by their names.

/// Returns the place of a path's last name in a list of names, the best first; `None` if it is not
/// one of them. Names are compared in lower case, without `_` and `-`.
pub(super) fn rank(path: &str, names: &[&str]) -> Option<usize> {
    let name = path.rsplit('.').next().unwrap_or(path);
    let name = name.chars().filter(|letter| !matches!(letter, '_' | '-')).collect::<String>().to_lowercase();
    names.iter().position(|known| *known == name)
}
