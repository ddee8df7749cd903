use std::collections::HashMap; use std::sync::OnceLock;
pub(crate) fn get(name: &str, default: f64) -> f64 {
    static T: OnceLock<HashMap<String, f64>> = OnceLock::new();
    let t = T.get_or_init(|| std::env::var("TUNE").unwrap_or_default().split(',').filter_map(|p| p.split_once('=')).map(|(k, v)| (k.to_owned(), v.parse().unwrap())).collect());
    t.get(name).copied().unwrap_or(default)
}
