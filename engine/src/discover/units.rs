//! The unit of a field, as its name says it or as `SenML` states it.

use serde_json::Value;

/// Ends of names, in lower case, and the units that they stand for.
const BY_NAME: [(&str, &str); 26] = [
    ("_c", "°C"),
    ("_degc", "°C"),
    ("_celsius", "°C"),
    ("_f", "°F"),
    ("_degf", "°F"),
    ("_k", "K"),
    ("_hpa", "hPa"),
    ("_kpa", "kPa"),
    ("_pa", "Pa"),
    ("_bar", "bar"),
    ("_w", "W"),
    ("_kw", "kW"),
    ("_wh", "Wh"),
    ("_kwh", "kWh"),
    ("_v", "V"),
    ("_mv", "mV"),
    ("_a", "A"),
    ("_ma", "mA"),
    ("_hz", "Hz"),
    ("_db", "dB"),
    ("_lux", "lx"),
    ("_ppm", "ppm"),
    ("_mm", "mm"),
    ("_kmh", "km/h"),
    ("_pct", "%"),
    ("_percent", "%"),
];

/// Returns the unit of a field; `None` if it is not known.
pub(super) fn unit_of(field: &str, payload: &[u8]) -> Option<String> {
    let name = field.to_lowercase();
    let of_name = BY_NAME.iter().find(|(end, _)| name.ends_with(end)).map(|(_, unit)| (*unit).to_owned());
    of_name.or_else(|| of_senml(field, payload))
}

fn of_senml(field: &str, payload: &[u8]) -> Option<String> {
    if payload.first() != Some(&b'[') {
        return None;
    }
    let records: Vec<Value> = serde_json::from_slice(payload).ok()?;
    let text = |record: &Value, name: &str| record.get(name).and_then(Value::as_str).map(str::to_owned);
    let base = records.iter().find_map(|record| text(record, "bu"));
    let unit_of = |record: &Value| text(record, "u").or_else(|| base.clone());
    let Some(record) = records.iter().find(|record| text(record, "n").as_deref() == Some(field)) else {
        // If a name has several units, they are the ends of its fields.
        let ends_field = |unit: &String| field.strip_suffix(unit).is_some_and(|name| name.ends_with('.'));
        return records.iter().filter_map(unit_of).find(ends_field);
    };
    unit_of(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_from_names_and_from_senml() {
        assert_eq!(unit_of("temperature_C", b"").as_deref(), Some("°C"));
        assert_eq!(unit_of("wind_avg_km_h", b""), None);
        let pack = br#"[{"bn":"x","bu":"V","n":"voltage","v":1},{"n":"current","u":"A","v":2}]"#;
        assert_eq!(unit_of("voltage", pack).as_deref(), Some("V"));
        assert_eq!(unit_of("current", pack).as_deref(), Some("A"));
        assert_eq!(unit_of("door", pack), None);
        let pack = br#"[{"bn":"x","bu":"%RH","v":1},{"u":"lon","v":2},{"u":"lat","v":3}]"#;
        assert_eq!(["x.%RH", "x.lon"].map(|field| unit_of(field, pack).unwrap()), ["%RH", "lon"]);
    }
}
