//! The graphs of a crate's files and directories, and their cycles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use crate::resolve::defining_module;
use crate::source::{ModulePath, Modules, read_crate};

/// The edges of a graph by their pair of nodes, each with one import that causes the edge.
type Graph = BTreeMap<String, BTreeMap<String, String>>;

/// An import of one module's item by another module.
struct Edge {
    from: ModulePath,
    to: ModulePath,
    /// The file and the `use` path, for a message.
    shown: String,
}

/// Describes the import cycles of the crates with a root file in this directory.
pub(crate) fn cycles_of(source: &Path) -> Vec<String> {
    roots(source).iter().flat_map(|root| cycles_of_crate(&read_crate(root))).collect()
}

/// The root files of library and programs.
fn roots(source: &Path) -> Vec<PathBuf> {
    let programs = std::fs::read_dir(source.join("bin")).into_iter().flatten();
    let programs = programs.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some());
    let roots = [source.join("lib.rs"), source.join("main.rs")].into_iter().chain(programs);
    roots.filter(|path| path.exists()).collect()
}

fn cycles_of_crate(modules: &Modules) -> Vec<String> {
    let edges = edges(modules);
    let files =
        cycles(&file_graph(modules, &edges)).into_iter().map(|cycle| format!("between files:{cycle}"));
    files.chain(directory_cycles(modules, &edges)).collect()
}

fn edges(modules: &Modules) -> Vec<Edge> {
    let mut edges = Vec::new();
    for (from, module) in modules {
        for import in &module.imports {
            let Some(to) = defining_module(modules, from, &import.path) else { continue };
            let glob = if import.name.is_none() { "::*" } else { "" };
            let shown = format!("{}: use {}{glob}", module.file.display(), import.path.join("::"));
            edges.push(Edge { from: from.clone(), to, shown });
        }
    }
    edges
}

fn file_graph(modules: &Modules, edges: &[Edge]) -> Graph {
    let file = |module: &ModulePath| modules[module].file.display().to_string();
    graph(edges.iter().map(|edge| (file(&edge.from), file(&edge.to), &edge.shown)))
}

/// Returns the cycles between the children of each module. A child includes all modules below it.
/// At least two members of a cycle are directories.
fn directory_cycles(modules: &Modules, edges: &[Edge]) -> Vec<String> {
    let mut found = Vec::new();
    for parent in modules.keys() {
        let depth = parent.len();
        let is_below = |module: &ModulePath| module.len() > depth && module.starts_with(parent);
        let name = |module: &ModulePath| module[..=depth].join("::");
        let below = edges.iter().filter(|edge| is_below(&edge.from) && is_below(&edge.to));
        let graph = graph(below.map(|edge| (name(&edge.from), name(&edge.to), &edge.shown)));
        let is_directory = |child: &String| {
            let own = modules.iter().filter(|(module, _)| is_below(module) && name(module) == *child);
            own.map(|(_, module)| &module.file).collect::<BTreeSet<_>>().len() > 1
        };
        for component in components(&graph) {
            let directories: Vec<_> = component.iter().filter(|child| is_directory(child)).collect();
            if let [first, _, ..] = directories[..] {
                let cycle = shortest_cycle(&graph, first, &component, is_directory);
                found.push(format!("between directories:{cycle}"));
            }
        }
    }
    found
}

fn graph<'a>(edges: impl Iterator<Item = (String, String, &'a String)>) -> Graph {
    let mut graph = Graph::new();
    for (from, to, shown) in edges.filter(|(from, to, _)| from != to) {
        graph.entry(from).or_default().entry(to).or_insert_with(|| shown.clone());
    }
    graph
}

/// One cycle of each component.
fn cycles(graph: &Graph) -> Vec<String> {
    let components = components(graph).into_iter();
    components.map(|component| shortest_cycle(graph, &component[0], &component, |_| true)).collect()
}

/// The sets of two or more nodes that all reach each other.
fn components(graph: &Graph) -> Vec<Vec<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> =
        graph.keys().map(|node| (node, reached_from(graph, node))).collect();
    let mut found: BTreeSet<Vec<String>> = BTreeSet::new();
    for (node, others) in &reached {
        let is_mutual = |other: &&&String| reached.get(**other).is_some_and(|back| back.contains(*node));
        let mut component: Vec<String> =
            others.iter().filter(is_mutual).map(|other| (*other).clone()).collect();
        if !component.is_empty() {
            component.sort();
            found.insert(component);
        }
    }
    found.into_iter().filter(|component| component.len() > 1).collect()
}

/// The nodes that a path of at least one edge leads to.
fn reached_from<'a>(graph: &'a Graph, node: &'a String) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut queue = VecDeque::from([node]);
    while let Some(node) = queue.pop_front() {
        queue.extend(
            graph.get(node).into_iter().flat_map(BTreeMap::keys).filter(|next| reached.insert(*next)),
        );
    }
    reached
}

/// Describes a shortest cycle through a node of a component that has another node of interest.
fn shortest_cycle(
    graph: &Graph,
    start: &String,
    component: &[String],
    is_of_interest: impl Fn(&String) -> bool,
) -> String {
    let others = component.iter().filter(|node| *node != start && is_of_interest(node));
    let cycles =
        others.filter_map(|other| Some([path(graph, start, other)?, path(graph, other, start)?].concat()));
    let shortest = cycles.min_by_key(Vec::len).unwrap_or_default();
    let lines: Vec<String> =
        shortest.iter().map(|(node, import)| format!("\n  {node}\n    {import}")).collect();
    lines.concat()
}

/// The nodes of a shortest path but the last, each with the import that leads to the next.
fn path(graph: &Graph, from: &String, to: &String) -> Option<Vec<(String, String)>> {
    let mut paths = VecDeque::from([(from, Vec::new())]);
    let mut seen = BTreeSet::new();
    while let Some((node, path)) = paths.pop_front() {
        for (next, import) in graph.get(node)? {
            let path = [path.clone(), vec![(node.clone(), import.clone())]].concat();
            if next == to {
                return Some(path);
            }
            if seen.insert(next) && graph.contains_key(next) {
                paths.push_back((next, path));
            }
        }
    }
    None
}
