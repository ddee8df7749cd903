//! Finds the objects of a message that holds several: in an array below the root, or under the names
//! of devices.

use std::borrow::Cow;

use super::compiled::Compiled;
use super::scan::Scanner;
use super::source::{Malformed, Source, Token};
use super::times::unquoted;

/// Splits an array that may have bare words. The scanner stands before the array.
fn elements<'t>(
    scanner: &mut Scanner<'t>,
    is_known: impl Fn(&str) -> bool,
) -> Result<Vec<&'t str>, Malformed> {
    scanner.token()?;
    let mut elements = Vec::new();
    while scanner.element(elements.is_empty())? {
        let start = scanner.position();
        scanner.skip(&is_known)?;
        elements.push(scanner.since(start).trim_ascii());
    }
    Ok(elements)
}

/// Splits a payload that is an array.
pub(super) fn array(text: &str, is_known: impl Fn(&str) -> bool) -> Result<Vec<&str>, Malformed> {
    let mut scanner = Scanner::new(text);
    let elements = elements(&mut scanner, is_known)?;
    scanner.end()?;
    Ok(elements)
}

/// Checks that a text is one value.
pub(super) fn check(text: &str, compiled: &Compiled) -> Result<(), Malformed> {
    let mut scanner = Scanner::new(text);
    scanner.skip(|word| compiled.knows_bare(word))?;
    scanner.end()
}

/// Returns the elements of the array that the path `root` names; `None` if there is no array.
pub(super) fn array_at<'t>(text: &'t str, root: &str, compiled: &Compiled) -> Option<Vec<&'t str>> {
    let mut scanner = Scanner::new(text);
    let mut rest = root;
    'levels: loop {
        if scanner.token().ok()? != Token::Object {
            return None;
        }
        let mut first = true;
        while let Some(quoted) = scanner.member(first).ok()? {
            first = false;
            let name = unquoted(quoted);
            if rest == name {
                let is_array = scanner.peek() == Some(b'[');
                return if is_array {
                    elements(&mut scanner, |word| compiled.knows_bare(word)).ok()
                } else {
                    None
                };
            }
            let below = rest.strip_prefix(&*name).and_then(|rest| rest.strip_prefix('.'));
            if let Some(below) = below.filter(|_| scanner.peek() == Some(b'{')) {
                rest = below;
                continue 'levels;
            }
            scanner.skip(|word| compiled.knows_bare(word)).ok()?;
        }
        return None;
    }
}

/// The devices in an object, and what stands beside them.
pub(super) struct Devices<'t> {
    /// The objects of each device, with its name.
    pub(super) objects: Vec<(Box<str>, &'t str)>,
    /// The names of the other members.
    pub(super) others: Vec<Cow<'t, str>>,
}

/// Returns the devices in an object. The name of a member that is an object or an array is the name
/// of a device. The member, or each element of its array, is a message.
pub(super) fn devices_in<'t>(text: &'t str, compiled: &Compiled) -> Result<Devices<'t>, Malformed> {
    let mut scanner = Scanner::new(text);
    scanner.token()?;
    let mut devices = Devices { objects: Vec::new(), others: Vec::new() };
    let mut first = true;
    while let Some(quoted) = scanner.member(first)? {
        first = false;
        let name = unquoted(quoted);
        if scanner.peek() == Some(b'[') {
            let elements = elements(&mut scanner, |word| compiled.knows_bare(word))?;
            devices.objects.extend(elements.into_iter().map(|element| (Box::from(&*name), element)));
            continue;
        }
        let start = scanner.position();
        scanner.skip(|word| compiled.knows_bare(word))?;
        let json = scanner.since(start).trim_ascii();
        if json.starts_with('{') {
            devices.objects.push((Box::from(&*name), json));
        } else {
            devices.others.push(name);
        }
    }
    scanner.end()?;
    Ok(devices)
}

#[cfg(test)]
mod tests;
