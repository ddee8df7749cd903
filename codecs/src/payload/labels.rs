//! Reads the members of an object that name its sensor.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::scan::Scanner;
use super::source::{Source as _, Token};
use super::times::unquoted;
use crate::series;

/// Returns the text of the member at each path; `None` if the object has no such member, or the
/// member is null, empty, an object or an array.
///
/// A path is a list of names joined by points. A member whose own name has points is found too. A
/// path that ends with `.*` stands for all members of an object with a text or a number, sorted by
/// name, as [`series`](crate::series) writes them: `core=0,host=north`. It is empty if the object has
/// none.
pub(super) fn read(object: &str, paths: &[String]) -> Vec<Option<Box<str>>> {
    paths.iter().map(|path| member(object, path)).collect()
}

/// Returns whether an object has an object at a path.
pub(super) fn has_object(object: &str, path: &str) -> bool {
    find(object, path).is_some_and(|json| json.starts_with('{'))
}

fn member(object: &str, path: &str) -> Option<Box<str>> {
    let Some(parent) = path.strip_suffix(".*") else { return text(find(object, path)?) };
    let members = members(find(object, parent)?)?;
    let pairs = members.iter().filter_map(|(name, json)| Some(series::tag(name, &text(json)?)));
    Some(pairs.collect::<Vec<_>>().join(",").into())
}

/// Returns the JSON of the member at a path. A name in it may be the index of an element of an array.
pub(super) fn find<'o>(object: &'o str, path: &str) -> Option<&'o str> {
    let members = members(object).or_else(|| elements(object))?;
    if let Some(json) = members.get(path) {
        return Some(json);
    }
    // The name of the outer member may have points itself, so each split is tried.
    path.match_indices('.').find_map(|(point, _)| {
        let inner = members.get(&path[..point])?;
        find(inner, &path[point + 1..])
    })
}

/// Returns the members of an object with their JSON. It is as lenient as the walk that reads the
/// fields: a bare word or a wrong escape must not hide the other members.
pub(super) fn members(object: &str) -> Option<BTreeMap<Cow<'_, str>, &str>> {
    let mut scanner = Scanner::new(object);
    if scanner.token().ok()? != Token::Object {
        return None;
    }
    let mut members = BTreeMap::new();
    while let Some(quoted) = scanner.member(members.is_empty()).ok()? {
        let start = scanner.position();
        // Unknown words are refused by the walk.
        scanner.skip(|_| true).ok()?;
        members.insert(unquoted(quoted), scanner.since(start).trim_ascii());
    }
    Some(members)
}

/// Returns the elements of an array with their JSON, each under its index.
fn elements(array: &str) -> Option<BTreeMap<Cow<'_, str>, &str>> {
    let mut scanner = Scanner::new(array);
    if scanner.token().ok()? != Token::Array {
        return None;
    }
    let mut elements = BTreeMap::new();
    while scanner.element(elements.is_empty()).ok()? {
        let start = scanner.position();
        scanner.skip(|_| true).ok()?;
        elements.insert(elements.len().to_string().into(), scanner.since(start).trim_ascii());
    }
    Some(elements)
}

fn text(json: &str) -> Option<Box<str>> {
    match Scanner::new(json).token().ok()? {
        Token::Quoted(quoted) => Some(unquoted(quoted).trim()).filter(|text| !text.is_empty()).map(Box::from),
        Token::Number(_) | Token::Bool(_) => Some(json.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(object: &str, path: &str) -> Option<String> {
        read(object, &[path.to_owned()]).pop().flatten().map(String::from)
    }

    #[test]
    fn members_are_found_by_their_paths() {
        let object = r#"{"deviceInfo":{"devEui":"a84041000181","tags":{"site.name":"north"}},"id":17}"#;
        assert_eq!(one(object, "deviceInfo.devEui").as_deref(), Some("a84041000181"));
        assert_eq!(one(object, "deviceInfo.tags.site.name").as_deref(), Some("north"));
        assert_eq!(one(object, "id").as_deref(), Some("17"));
        assert_eq!(one(r#"{"t":{"b":"x","a":1,"c":[]}}"#, "t.*").as_deref(), Some("a=1,b=x"));
    }

    #[test]
    fn all_members_of_two_objects_are_never_one_text() {
        let tags = [
            r#"{"a":"1,b=2"}"#,
            r#"{"a":"1","b":"2"}"#,
            r#"{"a=1,b":"2"}"#,
            r#"{"a":"1\\","b":"2"}"#,
            r#"{"a":"1\\,b=2"}"#,
            r#"{"a=1":"x"}"#,
            r#"{"a":"1=x"}"#,
            r#"{"a\\":"1=x"}"#,
            r#"{"a":"1,c"}"#,
            r#"{"a":"1\\,c"}"#,
        ];
        let texts: std::collections::BTreeSet<String> =
            tags.iter().map(|tags| one(&format!(r#"{{"t":{tags}}}"#), "t.*").unwrap()).collect();
        assert_eq!(texts.len(), tags.len(), "{texts:?}");
        assert_eq!(one(r#"{"t":{"a":"C:\\x, y","b":"k=v"}}"#, "t.*").as_deref(), Some(r"a=C:\x, y,b=k=v"));
    }

    #[test]
    fn members_are_found_beside_values_that_json_does_not_have() {
        let object = r#"{"id":"a7","wind":NaN,"tags":{"x":inf,"host":"gw"},"msg":"C:\temp\x"}"#;
        assert_eq!(one(object, "id").as_deref(), Some("a7"));
        assert_eq!(one(object, "tags.host").as_deref(), Some("gw"));
        assert_eq!(one(object, "tags.*").as_deref(), Some("host=gw"));
        assert_eq!(one(object, "wind"), None);
        assert!(has_object(object, "tags"));
    }

    #[test]
    fn a_member_without_a_text_is_none() {
        let object = r#"{"a":null,"b":"","c":{"d":1},"e":[1]}"#;
        for path in ["a", "b", "c", "e", "f", "c.x", "a.b"] {
            assert_eq!(one(object, path), None, "{path}");
        }
        assert_eq!(one("21.5", "a"), None);
    }

    #[test]
    fn an_object_without_texts_stands_for_an_empty_text() {
        assert_eq!(one(r#"{"tags":{}}"#, "tags.*").as_deref(), Some(""));
        assert_eq!(one(r#"{"tags":{"a":null}}"#, "tags.*").as_deref(), Some(""));
        for object in ["{}", r#"{"tags":null}"#, r#"{"tags":5}"#] {
            assert_eq!(one(object, "tags.*"), None, "{object}");
        }
    }
}
