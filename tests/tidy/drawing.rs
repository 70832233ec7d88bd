//! The drawing of the modules in `ARCHITECTURE.md`, made from the imports.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::imports::Import;

type Uses = BTreeMap<String, BTreeSet<String>>;

/// A Mermaid flowchart of `modules`; an arrow that others imply is left out.
pub(crate) fn draw(imports: &[Import], modules: &[&str]) -> String {
    let mut uses: Uses = BTreeMap::new();
    for import in imports {
        let (Some(from), Some(to)) = (import.from.first(), import.to.first()) else {
            continue;
        };
        let known = |name: &String| modules.contains(&name.as_str());
        if from != to && known(from) && known(to) {
            uses.entry(from.clone()).or_default().insert(to.clone());
        }
    }
    let mut drawing = String::from("```mermaid\nflowchart TD\n");
    for from in modules.iter().rev() {
        let direct = uses.get(*from).into_iter().flatten();
        for to in direct.filter(|to| !is_implied(&uses, from, to)) {
            writeln!(drawing, "  {from} --> {to}").expect("a string");
        }
    }
    drawing + "```\n"
}

/// Whether `from` reaches `to` through another module that it uses.
fn is_implied(uses: &Uses, from: &str, to: &str) -> bool {
    let others = uses.get(from).into_iter().flatten();
    others
        .filter(|other| *other != to)
        .any(|other| reaches(uses, other, to))
}

fn reaches(uses: &Uses, from: &str, to: &str) -> bool {
    let next = uses.get(from).into_iter().flatten();
    from == to || next.into_iter().any(|next| reaches(uses, next, to))
}
