//! PromQL over the metrics in the log store, as Log Cache answers it.
//!
//! `parse` turns a text into a [`Query`] or refuses it; [`select`] makes the series of its selectors
//! from envelopes; [`eval`] computes the answer. All of it is pure: reading, time limits and
//! permissions are `promql_api`'s.
//!
//! Supported: instant and range selectors with all matchers and `offset`; `rate`, `increase`, `delta`;
//! `avg`, `sum`, `max`, `min`, `count` and `last` `_over_time`; `sum`, `avg`, `max`, `min` and `count`
//! with `by` or `without`; arithmetic and comparison between scalars and vectors, with `bool`, `on` and
//! `ignoring`. Everything else is refused by name: a wrong number would be worse than none.
//!
//! Decisions: the grammar is promql-parser's, since a second one would differ in corners; the
//! evaluation works on a small syntax tree of its own, in which nothing unsupported can be written.

mod aggregate;
mod binary;
mod eval;
mod functions;
mod parse;
#[cfg(test)]
mod property_tests;
mod render;
mod select;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub(super) use eval::{Instants, evaluate};
pub(super) use parse::parse;
pub(super) use render::render;
pub(super) use select::{Collected, Collector, kinds, name_pattern, window};

/// How far an instant selector looks back for a sample, in milliseconds.
pub(super) const LOOKBACK: i64 = 5 * 60 * 1000;
/// Most evaluations of one range query, as in Prometheus.
pub(super) const MAX_STEPS: i64 = 11_000;

/// Labels by name.
pub(super) type Labels = BTreeMap<String, String>;

/// Why a query has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is no query, or none that can be answered here.
    BadData(String),
    /// Answering failed.
    Internal(String),
}

/// A value at a time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) at: i64,
    pub(super) value: f64,
}

/// Points of one metric, in order of time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) labels: Labels,
    pub(super) points: Vec<Point>,
}

/// One value of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Sample {
    pub(super) labels: Labels,
    pub(super) value: f64,
}

/// What an expression is at one time.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Scalar(f64),
    Vector(Vec<Sample>),
}

/// The answer to a query.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Scalar(Point),
    Vector(i64, Vec<Sample>),
    Matrix(Vec<Series>),
}

/// A query that can be evaluated.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) root: Node,
    pub(super) selectors: Vec<Selector>,
}

/// Which series an expression reads.
#[derive(Debug, Clone)]
pub(super) struct Selector {
    pub(super) metric: String,
    /// Guids, or names of apps; the caller replaces names by guids.
    pub(super) sources: Vec<String>,
    pub(super) matchers: Vec<promql_parser::label::Matcher>,
    /// Milliseconds of a range selector.
    pub(super) range: Option<i64>,
    /// Milliseconds into the past.
    pub(super) offset: i64,
}

/// An expression; numbers of selectors are indexes into [`Query::selectors`].
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Number(f64),
    /// An instant selector.
    Select(usize),
    /// A range selector, as the whole query.
    Range(usize),
    /// A function of a range selector.
    OverRange(RangeFunction, usize),
    Negate(Box<Node>),
    Aggregate(Aggregation, Grouping, Box<Node>),
    Binary(Box<Binary>),
}

/// Functions of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RangeFunction {
    Rate,
    Increase,
    Delta,
    Average,
    Sum,
    Max,
    Min,
    Count,
    Last,
}

/// Aggregations of a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregation {
    Sum,
    Average,
    Max,
    Min,
    Count,
}

/// Which labels make a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Grouping {
    /// These; none of them is one group of all.
    By(Vec<String>),
    /// All but these.
    Without(Vec<String>),
}

/// An operation on two expressions.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Binary {
    pub(super) operator: Operator,
    /// Comparisons give 0 or 1 instead of leaving out what does not hold.
    pub(super) gives_bool: bool,
    pub(super) matching: Grouping,
    pub(super) left: Node,
    pub(super) right: Node,
}

/// Arithmetic and comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
}

impl Query {
    /// Names of all sources, each once.
    pub(super) fn sources(&self) -> Vec<String> {
        let all = self.selectors.iter().flat_map(|one| &one.sources);
        let mut all: Vec<String> = all.cloned().collect();
        all.sort();
        all.dedup();
        all
    }
}
