//! From text to [`Query`]: the parser's syntax tree becomes ours, and what is not supported is
//! refused with its name.

use std::time::Duration;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::token::{
    T_ADD, T_AVG, T_COUNT, T_DIV, T_EQLC, T_GTE, T_GTR, T_LSS, T_LTE, T_MAX, T_MIN, T_MOD, T_MUL,
    T_NEQ, T_POW, T_SUB, T_SUM, TokenId,
};
use promql_parser::parser::{
    self, AggregateExpr, BinModifier, BinaryExpr, Call, Expr, LabelModifier, Offset,
    VectorMatchCardinality, VectorSelector,
};

use super::{Aggregation, Binary, Fault, Grouping, Node, Operator, Query, RangeFunction, Selector};

/// Longest text of a query. Nesting is bounded by it, too.
const LONGEST: usize = 4096;
/// Deepest nesting.
const DEEPEST: usize = 100;
/// Most sources that a query reads.
const MOST_SOURCES: usize = 100;
const SOURCE_ID: &str = "source_id";
const NAME: &str = "__name__";

/// The query that a text is.
pub(in crate::logs) fn parse(text: &str) -> Result<Query, Fault> {
    if text.len() > LONGEST {
        let text = format!("the query is longer than {LONGEST} bytes");
        return Err(Fault::BadData(text));
    }
    if nesting(text) > DEEPEST {
        return Err(too_deep());
    }
    let parsed = parser::parse(text).map_err(Fault::BadData)?;
    let mut translation = Translation::default();
    let root = match without_parentheses(&parsed) {
        Expr::MatrixSelector(range) => {
            let selector = translation.selector(&range.vs, Some(range.range))?;
            Node::Range(selector)
        }
        other => translation.node(other, 0)?,
    };
    let query = Query {
        root,
        selectors: translation.selectors,
    };
    let sources = query.sources();
    if sources.is_empty() {
        let text = "query does not request any source_ids";
        return Err(Fault::BadData(text.to_owned()));
    }
    if sources.len() > MOST_SOURCES {
        let text = format!("query requests more than {MOST_SOURCES} source_ids");
        return Err(Fault::BadData(text));
    }
    Ok(query)
}

/// A bound of how deep the parser nests: brackets that are open at once, and signs in a row.
fn nesting(text: &str) -> usize {
    let (mut open, mut signs, mut deepest) = (0_usize, 0_usize, 0_usize);
    for letter in text.chars() {
        match letter {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            _ => {}
        }
        signs = match letter {
            '-' | '+' => signs + 1,
            ' ' | '\t' | '\n' | '\r' => signs,
            _ => 0,
        };
        deepest = deepest.max(open + signs);
    }
    deepest
}

fn too_deep() -> Fault {
    Fault::BadData(format!("the query nests deeper than {DEEPEST} levels"))
}

fn refused(what: &str) -> Fault {
    Fault::BadData(format!("{what} is not supported"))
}

fn without_parentheses(mut expression: &Expr) -> &Expr {
    while let Expr::Paren(inner) = expression {
        expression = &inner.expr;
    }
    expression
}

#[derive(Default)]
struct Translation {
    selectors: Vec<Selector>,
}

impl Translation {
    fn node(&mut self, expression: &Expr, depth: usize) -> Result<Node, Fault> {
        if depth > DEEPEST {
            return Err(too_deep());
        }
        let deeper = depth + 1;
        match expression {
            Expr::NumberLiteral(number) => Ok(Node::Number(number.val)),
            Expr::Paren(inner) => self.node(&inner.expr, deeper),
            Expr::Unary(unary) => {
                let of = self.node(&unary.expr, deeper)?;
                Ok(Node::Negate(Box::new(of)))
            }
            Expr::VectorSelector(selector) => Ok(Node::Select(self.selector(selector, None)?)),
            Expr::Call(call) => self.call(call),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate, deeper),
            Expr::Binary(binary) => self.binary(binary, deeper),
            Expr::MatrixSelector(_) => Err(Fault::BadData(
                "a range selector must be the argument of a function".to_owned(),
            )),
            Expr::Subquery(_) => Err(refused("a subquery")),
            Expr::StringLiteral(_) => Err(refused("a string as an expression")),
            Expr::Extension(_) => Err(refused("an extension")),
        }
    }

    fn call(&mut self, call: &Call) -> Result<Node, Fault> {
        let name = call.func.name;
        let function = match name {
            "rate" => RangeFunction::Rate,
            "increase" => RangeFunction::Increase,
            "delta" => RangeFunction::Delta,
            "avg_over_time" => RangeFunction::Average,
            "sum_over_time" => RangeFunction::Sum,
            "max_over_time" => RangeFunction::Max,
            "min_over_time" => RangeFunction::Min,
            "count_over_time" => RangeFunction::Count,
            "last_over_time" => RangeFunction::Last,
            other => return Err(refused(&format!("the function {other}"))),
        };
        let argument = call.args.args.first().map(|one| without_parentheses(one));
        match argument {
            Some(Expr::MatrixSelector(range)) => {
                let selector = self.selector(&range.vs, Some(range.range))?;
                Ok(Node::OverRange(function, selector))
            }
            Some(Expr::Subquery(_)) => Err(refused("a subquery")),
            _ => Err(Fault::BadData(format!("{name} needs a range selector"))),
        }
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr, depth: usize) -> Result<Node, Fault> {
        let operation = match aggregate.op.id() {
            T_SUM => Aggregation::Sum,
            T_AVG => Aggregation::Average,
            T_MAX => Aggregation::Max,
            T_MIN => Aggregation::Min,
            T_COUNT => Aggregation::Count,
            _ => return Err(refused(&format!("the aggregation {}", aggregate.op))),
        };
        if aggregate.param.is_some() {
            return Err(refused("a parameter of this aggregation"));
        }
        let grouping = grouping(aggregate.modifier.as_ref(), Grouping::By(Vec::new()));
        let of = self.node(&aggregate.expr, depth)?;
        if is_scalar(&of) {
            let text = "an aggregation needs an instant vector, not a scalar";
            return Err(Fault::BadData(text.to_owned()));
        }
        Ok(Node::Aggregate(operation, grouping, Box::new(of)))
    }

    fn binary(&mut self, binary: &BinaryExpr, depth: usize) -> Result<Node, Fault> {
        let operator = operator(binary.op.id())
            .ok_or_else(|| refused(&format!("the operator {}", binary.op)))?;
        let modifier = binary.modifier.as_ref();
        check_modifier(modifier)?;
        let left = self.node(&binary.lhs, depth)?;
        let right = self.node(&binary.rhs, depth)?;
        let gives_bool = modifier.is_some_and(|modifier| modifier.return_bool);
        if operator.compares() && !gives_bool && is_scalar(&left) && is_scalar(&right) {
            let text = "comparisons between scalars must use BOOL modifier";
            return Err(Fault::BadData(text.to_owned()));
        }
        let matching = modifier.and_then(|modifier| modifier.matching.as_ref());
        Ok(Node::Binary(Box::new(Binary {
            operator,
            gives_bool,
            matching: grouping(matching, Grouping::Without(Vec::new())),
            left,
            right,
        })))
    }

    fn selector(
        &mut self,
        selector: &VectorSelector,
        range: Option<Duration>,
    ) -> Result<usize, Fault> {
        if selector.at.is_some() {
            return Err(refused("the modifier @"));
        }
        if !selector.matchers.or_matchers.is_empty() {
            return Err(refused("`or` between matchers"));
        }
        let mut metric = selector.name.clone();
        let mut sources = Vec::new();
        let mut matchers = Vec::new();
        for matcher in &selector.matchers.matchers {
            match (matcher.name.as_str(), &matcher.op) {
                (NAME, MatchOp::Equal) => metric = Some(matcher.value.clone()),
                (NAME, _) => return Err(refused("a pattern of metric names")),
                (SOURCE_ID, _) => sources.extend(sources_of(matcher)?),
                _ => matchers.push(matcher.clone()),
            }
        }
        let Some(metric) = metric.filter(|metric| !metric.is_empty()) else {
            let text = "a selector needs the name of a metric";
            return Err(Fault::BadData(text.to_owned()));
        };
        self.selectors.push(Selector {
            metric,
            sources,
            matchers,
            range: range.map(millis),
            offset: match selector.offset {
                None => 0,
                Some(Offset::Pos(offset)) => millis(offset),
                Some(Offset::Neg(offset)) => -millis(offset),
            },
        });
        Ok(self.selectors.len() - 1)
    }
}

/// As Log Cache reads them: one id, or ids with `|` between.
fn sources_of(matcher: &Matcher) -> Result<Vec<String>, Fault> {
    let ids: Vec<String> = match matcher.op {
        MatchOp::Equal => vec![matcher.value.clone()],
        MatchOp::Re(_) => matcher.value.split('|').map(str::to_owned).collect(),
        MatchOp::NotEqual | MatchOp::NotRe(_) => {
            return Err(refused("a negative matcher of source_id"));
        }
    };
    Ok(ids.into_iter().filter(|id| !id.is_empty()).collect())
}

fn check_modifier(modifier: Option<&BinModifier>) -> Result<(), Fault> {
    let Some(modifier) = modifier else {
        return Ok(());
    };
    if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
        return Err(refused("the modifier fill"));
    }
    match modifier.card {
        VectorMatchCardinality::OneToOne => Ok(()),
        VectorMatchCardinality::ManyToOne(_) => Err(refused("the modifier group_left")),
        VectorMatchCardinality::OneToMany(_) => Err(refused("the modifier group_right")),
        VectorMatchCardinality::ManyToMany => Err(refused("a set operator")),
    }
}

fn grouping(modifier: Option<&LabelModifier>, default: Grouping) -> Grouping {
    match modifier {
        None => default,
        Some(LabelModifier::Include(labels)) => Grouping::By(labels.labels.clone()),
        Some(LabelModifier::Exclude(labels)) => Grouping::Without(labels.labels.clone()),
    }
}

fn operator(token: TokenId) -> Option<Operator> {
    Some(match token {
        T_ADD => Operator::Add,
        T_SUB => Operator::Subtract,
        T_MUL => Operator::Multiply,
        T_DIV => Operator::Divide,
        T_MOD => Operator::Modulo,
        T_POW => Operator::Power,
        T_EQLC => Operator::Equal,
        T_NEQ => Operator::NotEqual,
        T_GTR => Operator::Greater,
        T_LSS => Operator::Less,
        T_GTE => Operator::GreaterOrEqual,
        T_LTE => Operator::LessOrEqual,
        _ => return None,
    })
}

fn is_scalar(node: &Node) -> bool {
    match node {
        Node::Number(_) => true,
        Node::Negate(of) => is_scalar(of),
        Node::Binary(binary) => is_scalar(&binary.left) && is_scalar(&binary.right),
        Node::Select(_) | Node::Range(_) | Node::OverRange(..) | Node::Aggregate(..) => false,
    }
}

/// Durations of the parser may be longer than time.
fn millis(duration: Duration) -> i64 {
    const LONGEST: i64 = 100 * 365 * 24 * 3600 * 1000;
    i64::try_from(duration.as_millis()).map_or(LONGEST, |millis| millis.min(LONGEST))
}
