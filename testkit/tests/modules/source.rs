//! Reads a crate's files into modules, with what they define and import.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;
use syn::{Attribute, Expr, ExprLit, Item, ItemMod, ItemUse, Lit, Meta, UseTree};

/// The path of a module in its crate; empty for the root.
pub(crate) type ModulePath = Vec<String>;

/// The modules of one crate.
pub(crate) type Modules = BTreeMap<ModulePath, Module>;

/// One module, in a file of its own or inline.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// The file that holds it.
    pub(crate) file: PathBuf,
    /// The names of the items that it defines.
    pub(crate) items: BTreeSet<String>,
    /// What it imports, in order.
    pub(crate) imports: Vec<Import>,
}

/// One name of a `use` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Import {
    /// The segments of the path, such as `["crate", "a", "B"]`.
    pub(crate) path: Vec<String>,
    /// The name that it gets. `None`: every name of the module (`*`).
    pub(crate) name: Option<String>,
}

/// Reads the crate with this root file, such as `src/lib.rs`.
pub(crate) fn read_crate(root: &Path) -> Modules {
    let mut modules = Modules::new();
    let children = root.parent().unwrap().to_owned();
    read_file(&mut modules, vec![], root, &children);
    modules
}

/// Reads a module's file. The files of its children are in the directory `children`.
fn read_file(modules: &mut Modules, path: ModulePath, file: &Path, children: &Path) {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    read_items(modules, path, file, children, &parsed.items);
}

fn read_items(modules: &mut Modules, path: ModulePath, file: &Path, children: &Path, items: &[Item]) {
    let mut module = Module { file: file.to_owned(), ..Module::default() };
    for item in items {
        module.items.extend(defined_name(item));
        match item {
            Item::Mod(child) => {
                if is_test(child) {
                    continue;
                }
                let name = child.ident.to_string();
                let child_path = [path.clone(), vec![name.clone()]].concat();
                if let Some((_, items)) = &child.content {
                    read_items(modules, child_path, file, &children.join(&name), items);
                } else {
                    let (file, children) = child_file(&child.attrs, &name, file, children);
                    read_file(modules, child_path, &file, &children);
                }
            }
            _ if has_cfg_test(attributes(item)) => {}
            _ => Imports(&mut module.imports).visit_item(item),
        }
    }
    modules.insert(path, module);
}

/// Collects `use` lines, also those in functions.
struct Imports<'a>(&'a mut Vec<Import>);

impl Visit<'_> for Imports<'_> {
    fn visit_item_use(&mut self, item: &ItemUse) {
        if !has_cfg_test(&item.attrs) {
            collect(self.0, &[], &item.tree);
        }
    }
}

fn collect(imports: &mut Vec<Import>, before: &[String], tree: &UseTree) {
    let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
    match tree {
        UseTree::Path(path) => collect(imports, &with(&path.ident), &path.tree),
        UseTree::Group(group) => group.items.iter().for_each(|tree| collect(imports, before, tree)),
        UseTree::Glob(_) => imports.push(Import { path: before.to_vec(), name: None }),
        // `use a::{self}` imports `a`.
        UseTree::Name(name) if name.ident == "self" && !before.is_empty() => {
            imports.push(Import { path: before.to_vec(), name: before.last().cloned() });
        }
        UseTree::Name(name) => {
            imports.push(Import { path: with(&name.ident), name: Some(name.ident.to_string()) });
        }
        UseTree::Rename(rename) if rename.ident == "self" && !before.is_empty() => {
            imports.push(Import { path: before.to_vec(), name: Some(rename.rename.to_string()) });
        }
        UseTree::Rename(rename) => {
            imports.push(Import { path: with(&rename.ident), name: Some(rename.rename.to_string()) });
        }
    }
}

/// The text of the attribute `path`.
fn given_path(attributes: &[Attribute]) -> Option<String> {
    let value = attributes.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("path") => Some(&meta.value),
        _ => None,
    });
    match value {
        Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => Some(text.value()),
        _ => None,
    }
}

/// The file of a child module and the directory of its children.
fn child_file(attributes: &[Attribute], name: &str, file: &Path, directory: &Path) -> (PathBuf, PathBuf) {
    if let Some(given) = given_path(attributes) {
        // The compiler looks for the children of such a file beside it, whatever its name.
        let file = file.parent().unwrap().join(given);
        let children = file.parent().unwrap().to_owned();
        return (file, children);
    }
    let children = directory.join(name);
    let flat = directory.join(format!("{name}.rs"));
    if flat.exists() { (flat, children) } else { (children.join("mod.rs"), children) }
}

fn is_test(module: &ItemMod) -> bool {
    module.ident == "tests" || has_cfg_test(&module.attrs)
}

fn has_cfg_test(attributes: &[Attribute]) -> bool {
    let is_test = |attribute: &Attribute| {
        let condition = attribute.path().is_ident("cfg").then(|| attribute.parse_args::<syn::Path>().ok());
        condition.flatten().is_some_and(|condition| condition.is_ident("test"))
    };
    attributes.iter().any(is_test)
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Use(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        _ => &[],
    }
}

fn defined_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::TraitAlias(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}
