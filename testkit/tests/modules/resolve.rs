//! Finds the module that defines an imported item.

use crate::source::{Import, ModulePath, Modules};

/// Maximum length of a chain of re-exports that is followed.
const DEPTH: usize = 16;

/// Returns the module that defines the item that a module imports by a path. Follows re-exports, as
/// far as the source shows where they lead. Returns `None` if the item is of another crate.
pub(crate) fn defining_module(
    modules: &Modules,
    importer: &ModulePath,
    path: &[String],
) -> Option<ModulePath> {
    resolve(modules, importer, path, DEPTH)
}

fn resolve(modules: &Modules, importer: &ModulePath, path: &[String], depth: usize) -> Option<ModulePath> {
    let (first, mut rest) = path.split_first()?;
    let mut module = match first.as_str() {
        "crate" => Vec::new(),
        "self" => importer.clone(),
        "super" => parent(importer),
        // A child of the importer, or a module that it imports under this name.
        name => {
            let child = child(importer, name);
            if modules.contains_key(&child) {
                child
            } else {
                return resolve_imported(modules, importer, path, depth);
            }
        }
    };
    while let Some((name, after)) = rest.split_first() {
        if name == "super" {
            module = parent(&module);
        } else if modules.contains_key(&child(&module, name)) {
            module = child(&module, name);
        } else {
            return Some(resolve_item(modules, &module, rest, depth).unwrap_or(module));
        }
        rest = after;
    }
    Some(module)
}

/// Resolves a path that begins with an item of a module, which the module defines or re-exports.
fn resolve_item(modules: &Modules, module: &ModulePath, path: &[String], depth: usize) -> Option<ModulePath> {
    let defined = &modules.get(module)?.items;
    if defined.contains(path.first()?) {
        Some(module.clone())
    } else {
        resolve_imported(modules, module, path, depth)
    }
}

/// Resolves a path that begins with a name that a module imports.
fn resolve_imported(
    modules: &Modules,
    module: &ModulePath,
    path: &[String],
    depth: usize,
) -> Option<ModulePath> {
    let depth = depth.checked_sub(1)?;
    let (name, after) = path.split_first()?;
    let imports = &modules.get(module)?.imports;
    let is_named = |import: &&Import| import.name.as_ref() == Some(name) && import.path != path;
    if let Some(import) = imports.iter().find(is_named) {
        return resolve(modules, module, &[&import.path, after].concat(), depth);
    }
    let globs = imports.iter().filter(|import| import.name.is_none());
    globs.into_iter().find_map(|glob| {
        let source = resolve(modules, module, &glob.path, depth).filter(|source| source != module)?;
        if modules.contains_key(&child(&source, name)) {
            return resolve(modules, &source, &[&["self".to_owned()], path].concat(), depth);
        }
        resolve_item(modules, &source, path, depth)
    })
}

pub(crate) fn parent(module: &ModulePath) -> ModulePath {
    module.split_last().map(|(_, parent)| parent.to_vec()).unwrap_or_default()
}

fn child(module: &ModulePath, name: &str) -> ModulePath {
    [module.as_slice(), &[name.to_owned()]].concat()
}
