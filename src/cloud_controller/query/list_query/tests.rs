//! Parsing of lists' query strings.

use super::*;

const RULES: ListRules = ListRules::new(&["names"])
    .order_by(&["name"])
    .includes(&["space"]);

fn refusal(query: &str) -> String {
    ListQuery::parse(Some(query), &RULES)
        .expect_err(query)
        .detail()
        .to_owned()
}

#[test]
fn unknown_parameters_are_refused_with_the_valid_ones() {
    assert_eq!(
        refusal("nmaes=a&foo=1"),
        "The query parameter is invalid: Unknown query parameter(s): 'nmaes', 'foo'. Valid parameters are: \
         'page', 'per_page', 'order_by', 'created_ats', 'updated_ats', 'guids', 'names', 'include', 'label_selector'"
    );
}

#[test]
fn paging_limits() {
    let cases = [
        ("page=0", "Page must be a positive integer"),
        ("per_page=x", "Per page must be a positive integer"),
        ("per_page=5001", "Per page must be between 1 and 5000"),
        (
            "order_by=size",
            "Order by can only be: 'created_at', 'updated_at', 'name'",
        ),
        (
            "include=app",
            "Invalid included resource: 'app'. Valid included resources are: 'space'",
        ),
        (
            "include=space,space",
            "Duplicate included resource: 'space'",
        ),
    ];
    for (query, text) in cases {
        assert_eq!(
            refusal(query),
            format!("The query parameter is invalid: {text}")
        );
    }
}

#[test]
fn values_split_at_commas_and_keep_encoded_ones() {
    let q = ListQuery::parse(Some("names=a,b%252Cc,"), &RULES).expect("valid");
    assert_eq!(
        q.values("names"),
        Some(vec!["a".into(), "b,c".into(), String::new()])
    );
    assert_eq!(q.values("guids"), None);
}
