//! Who imports whom, read from the source text: every `crate::…` and `super::…` path.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, code, is_test};

/// `["cloud_controller", "model", "apps"]`.
pub(crate) type Module = Vec<String>;

/// One file uses something of another module.
pub(crate) struct Import {
    /// The file.
    pub(crate) file: String,
    /// Its module.
    pub(crate) from: Module,
    /// What it uses: a module, or an item of one.
    pub(crate) to: Vec<String>,
}

/// All imports of product code.
pub(crate) fn imports(sources: &[Source]) -> Vec<Import> {
    let product = sources.iter().filter(|source| !is_test(&source.path));
    product
        .flat_map(|source| {
            let file = source.path.display().to_string();
            let from = module(&file);
            let paths = paths(&code(&source.text), &from);
            let import = move |to| Import {
                file: file.clone(),
                from: from.clone(),
                to,
            };
            paths.into_iter().map(import).collect::<Vec<_>>()
        })
        .collect()
}

/// `src/a/b/mod.rs` and `src/a/b.rs` are both `a::b`.
pub(crate) fn module(file: &str) -> Module {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let mut module: Module = path.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|name| name == "mod") {
        module.pop();
    }
    module
}

fn paths(code: &str, from: &Module) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        found.extend(expand(&code[at + "crate::".len()..], &[]));
    }
    let mut end = 0;
    for (at, _) in code.match_indices("super::") {
        if at < end {
            continue;
        }
        let mut rest = &code[at..];
        let mut parent = from.as_slice();
        while let Some(behind) = rest.strip_prefix("super::") {
            rest = behind;
            parent = parent.split_last().map_or(&[][..], |(_, parent)| parent);
        }
        end = code.len() - rest.len();
        found.extend(expand(rest, parent));
    }
    found
}

/// The paths of `a::{b, c::d}` below `before`.
fn expand(text: &str, before: &[String]) -> Vec<Vec<String>> {
    let mut path = before.to_vec();
    let mut rest = text.trim_start();
    loop {
        if let Some(list) = rest.strip_prefix('{') {
            let items = items(list).into_iter();
            return items.flat_map(|item| expand(item, &path)).collect();
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(length);
        if !name.is_empty() && name != "self" {
            path.push(name.to_owned());
        }
        match behind.strip_prefix("::") {
            Some(next) if !name.is_empty() => rest = next,
            _ => return vec![path],
        }
    }
}

/// The items of a list whose opening brace was read.
fn items(list: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut start = 0;
    let mut found = Vec::new();
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.push(&list[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&list[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    let named = found.into_iter().map(str::trim);
    named.filter(|item| !item.is_empty()).collect()
}

/// Imports between the children of one module: child → child → one file that does it.
pub(crate) type Siblings = BTreeMap<String, BTreeMap<String, String>>;

/// For every module, the imports between its children.
pub(crate) fn siblings(sources: &[Source]) -> BTreeMap<Module, Siblings> {
    let modules: BTreeSet<Module> = sources
        .iter()
        .flat_map(|source| {
            let module = module(&source.path.display().to_string());
            (1..=module.len()).map(move |length| module[..length].to_vec())
        })
        .collect();
    let mut all: BTreeMap<Module, Siblings> = BTreeMap::new();
    for Import { file, from, to } in imports(sources) {
        let pairs = from.iter().zip(&to);
        let shared = pairs.take_while(|(own, other)| own == other).count();
        // Without a difference, a module uses what is in it or around it.
        if shared < from.len() && shared < to.len() && modules.contains(&to[..=shared]) {
            let children = all.entry(from[..shared].to_vec()).or_default();
            let others = children.entry(from[shared].clone()).or_default();
            others.entry(to[shared].clone()).or_insert(file);
        }
    }
    all
}

/// A circle among siblings, each with the file that leads to the next.
pub(crate) fn circle(siblings: &Siblings) -> Option<Vec<String>> {
    let mut left: BTreeSet<&String> = siblings.keys().collect();
    // Who imports nobody that is left is in no circle.
    loop {
        let before = left.len();
        left = left
            .iter()
            .copied()
            .filter(|child| siblings[*child].keys().any(|other| left.contains(other)))
            .collect();
        if left.len() == before {
            break;
        }
    }
    let mut child = *left.first()?;
    let mut seen = Vec::new();
    while !seen.contains(&child) {
        seen.push(child);
        child = siblings[child].keys().find(|other| left.contains(other))?;
    }
    let start = seen.iter().position(|other| *other == child)?;
    let steps = seen[start..].iter().map(|own| {
        let next = siblings[*own]
            .iter()
            .find(|(other, _)| left.contains(other));
        let (other, file) = next.expect("everyone left imports someone left");
        format!("{own} → {other} ({file})")
    });
    Some(steps.collect())
}

#[test]
fn paths_of_nested_lists_and_of_parents_are_found() {
    let text = "use crate::a::{b::{self, C}, d};\nuse super::e::F;\nsuper::super::g();";
    let from = ["x", "y", "z"].map(str::to_owned).to_vec();
    let found: Vec<String> = paths(text, &from)
        .iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(found, ["a::b", "a::b::C", "a::d", "x::y::e::F", "x::g"]);
}

#[test]
fn a_circle_is_told_with_its_files() {
    let one = |to: &str| BTreeMap::from([(to.to_owned(), format!("{to}.rs"))]);
    let mut siblings = BTreeMap::from([("a".to_owned(), one("b")), ("b".to_owned(), one("c"))]);
    assert_eq!(circle(&siblings), None);
    siblings.insert("c".to_owned(), one("b"));
    let expected = ["b → c (c.rs)", "c → b (b.rs)"].map(str::to_owned);
    assert_eq!(circle(&siblings), Some(expected.to_vec()));
}
