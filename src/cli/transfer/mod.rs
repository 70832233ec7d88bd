//! Apps between this platform and another Cloud Foundry: `cflite promote` takes one there, `cflite
//! import` brings those of a space here, and `cflite check` says what would differ there.
//!
//! `parcel` is an app with all it needs, read from either side; `offers` is what the other side has;
//! `assess` compares both without effects; `carry` makes the app there. What can be known to fail is
//! refused before anything is changed.

mod assess;
mod carry;
mod check;
mod import;
mod offers;
mod parcel;
mod place;
mod promote;
mod routes;

pub(super) use check::{Check, run as check};
pub(super) use import::{Import, run as import};
pub(super) use promote::{Promote, run as promote};

use super::show;
use assess::{Finding, Verdict};

/// Findings as a table.
fn table(findings: &[Finding]) {
    let rows: Vec<Vec<String>> = { findings.iter() }
        .map(|one| {
            vec![
                one.verdict.word().to_owned(),
                one.what.clone(),
                one.here.clone(),
                one.there.clone(),
                one.advice.clone(),
            ]
        })
        .collect();
    show::table(&["", "what", "needed", "found there", "what to do"], &rows);
}

/// Whether the app cannot run there.
fn is_blocked(findings: &[Finding]) -> bool {
    findings.iter().any(|one| one.verdict == Verdict::Missing)
}
