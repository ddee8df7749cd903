//! Finds the name that a wrong one may mean.

/// Returns `; did you mean …?` with the most similar name; empty if none is similar.
pub(crate) fn suggestion(name: &str, known: &[&str]) -> String {
    most_similar(name, known).map(|similar| format!("; did you mean {similar}?")).unwrap_or_default()
}

/// Similarity from which on a name is suggested.
const SIMILAR: f64 = 0.75;

/// Returns 0 to 1. Jaro-Winkler finds names with the same beginning, but rates two letters of a
/// short name in the wrong order (`ulr`) low. Capital letters do not matter.
fn similarity(name: &str, known: &str) -> f64 {
    let (name, known) = (&*name.to_lowercase(), &*known.to_lowercase());
    if name == known {
        return 1.0;
    }
    if name.chars().count() > 2 && strsim::osa_distance(name, known) == 1 {
        return 1.0;
    }
    strsim::jaro_winkler(name, known)
}

/// Returns the name that is most similar, if it is similar enough to be meant.
pub(crate) fn most_similar<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    let rated = known.iter().map(|known| (similarity(name, known), *known));
    let best = rated.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.filter(|(similarity, _)| *similarity >= SIMILAR).map(|(_, known)| known)
}
