//! Every list of `lists.txt` takes what it says there and refuses everything else in Cloud
//! Controller's words.

use cflite::testing::{Answer, TestApp, TestClient, organization_and_space, related};
use serde_json::{Value, json};

/// A line of the table.
pub(crate) struct List {
    pub(crate) path: String,
    pub(crate) filters: Vec<&'static str>,
    others: Vec<&'static str>,
    orders: Vec<&'static str>,
    includes: Vec<&'static str>,
    pub(crate) labels: bool,
    /// Status of refusals.
    refusal: u16,
    /// Usage events: they never change, and are sorted by their creation only.
    usage: bool,
}

pub(crate) fn lists(guids: &[(&str, String)]) -> Vec<List> {
    let lines = include_str!("lists.txt").lines();
    let lines = lines.filter(|line| line.starts_with('/'));
    lines
        .map(|line| {
            let mut columns = line.split('|').map(str::trim);
            let mut next = || columns.next().unwrap_or_default();
            let mut path = next().to_owned();
            for (name, guid) in guids {
                path = path.replace(&format!("{{{name}}}"), guid);
            }
            let words = |text: &'static str| text.split_whitespace().collect::<Vec<_>>();
            let (filters, others, orders) = (words(next()), words(next()), words(next()));
            let usage = orders.first() == Some(&"-created_at");
            List {
                path,
                filters,
                others,
                orders: if usage { Vec::new() } else { orders },
                includes: words(next()),
                labels: next() == "yes",
                refusal: next().parse().unwrap_or(400),
                usage,
            }
        })
        .collect()
}

/// One of everything that paths name, and the admin.
pub(crate) async fn world(platform: &TestApp) -> (TestClient, Vec<(&'static str, String)>) {
    let admin = platform.admin().await.unwrap();
    let (organization, space) = organization_and_space(&admin, "acme").await.unwrap();
    let body = json!({ "name": "web", "relationships": related("space", &space) });
    let app = admin.post("/v3/apps", &body).await.unwrap();
    let app = app.text("/guid").to_owned();
    let body = json!({ "type": "bits", "relationships": related("app", &app) });
    let package = admin.post("/v3/packages", &body).await.unwrap();
    let stacks = admin.get("/v3/stacks").await.unwrap();
    let guids = vec![
        ("org", organization),
        ("space", space),
        ("app", app),
        ("package", package.text("/guid").to_owned()),
        ("stack", stacks.text("/resources/0/guid").to_owned()),
    ];
    (admin, guids)
}

async fn asked(admin: &TestClient, list: &List, query: &str) -> Answer {
    let url = format!("{}?{query}", list.path);
    admin.get(&url).await.unwrap()
}

#[tokio::test]
async fn every_list_takes_its_filters_and_nothing_matches_nonsense() {
    let platform = TestApp::start().await.unwrap();
    let (admin, guids) = world(&platform).await;
    for list in lists(&guids) {
        let mut filters = list.filters.clone();
        filters.push("guids");
        for filter in filters {
            for value in ["no-such-thing", "zz-1,zz-2", "", "%25zz"] {
                let query = format!("{filter}={value}");
                let answer = asked(&admin, &list, &query).await;
                assert_eq!(answer.status, 200, "{} {query}: {answer:?}", list.path);
                let total = &answer.body["pagination"]["total_results"];
                // Empty host names and stacks may be what is asked for.
                if !value.is_empty() {
                    assert_eq!(*total, 0, "{} {query}", list.path);
                }
            }
        }
        for other in &list.others {
            let answer = asked(&admin, &list, other).await;
            assert_eq!(answer.status, 200, "{} {other}: {answer:?}", list.path);
        }
    }
}

#[tokio::test]
async fn every_list_is_sorted_both_ways_and_includes_what_it_says() {
    let platform = TestApp::start().await.unwrap();
    let (admin, guids) = world(&platform).await;
    for list in lists(&guids) {
        let mut orders = list.orders.clone();
        orders.push("created_at");
        if !list.usage {
            orders.push("updated_at");
        }
        for order in orders {
            let up = asked(&admin, &list, &format!("order_by={order}")).await;
            let down = asked(&admin, &list, &format!("order_by=-{order}")).await;
            let of = |answer: &Answer| answer.body["resources"].as_array().cloned();
            let (up, down) = (of(&up).unwrap(), of(&down).unwrap());
            let reversed: Vec<Value> = down.into_iter().rev().collect();
            assert_eq!(up, reversed, "{} {order}", list.path);
        }
        for include in &list.includes {
            let answer = asked(&admin, &list, &format!("include={include}")).await;
            assert_eq!(answer.status, 200, "{} {include}: {answer:?}", list.path);
            let twice = asked(&admin, &list, &format!("include={include},{include}")).await;
            let text = format!("Duplicate included resource: '{include}'");
            assert!(twice.detail().ends_with(&text), "{twice:?}");
        }
    }
}

#[tokio::test]
async fn every_list_tells_times_and_labels_apart() {
    let platform = TestApp::start().await.unwrap();
    let (admin, guids) = world(&platform).await;
    for list in lists(&guids) {
        let all = asked(&admin, &list, "per_page=5000").await;
        let all = all.body["pagination"]["total_results"].clone();
        let mut names = vec!["created_ats"];
        if !list.usage {
            names.push("updated_ats");
        }
        for name in names {
            for (operator, total) in [
                ("[gt]=2001-01-01T00:00:00Z", &all),
                ("[gte]=2001-01-01T00:00:00Z", &all),
                ("[lt]=2001-01-01T00:00:00Z", &json!(0)),
                ("[lte]=2001-01-01T00:00:00Z", &json!(0)),
                ("=2001-01-01T00:00:00Z,2001-01-02T00:00:00Z", &json!(0)),
            ] {
                let query = format!("{name}{operator}");
                let answer = asked(&admin, &list, &query).await;
                let found = &answer.body["pagination"]["total_results"];
                assert_eq!(found, total, "{} {query}: {answer:?}", list.path);
            }
        }
        for (selector, total) in [
            ("env", &json!(0)),
            ("!env", &all),
            ("env%3Dprod", &json!(0)),
            ("env%3D%3Dprod", &json!(0)),
            ("env!%3Dprod", &all),
            ("env%20in%20(a,b)", &json!(0)),
            ("env%20notin%20(a,b)", &all),
            ("!env,example.com/team!%3Dx,v%20notin%20(1)", &all),
        ] {
            let answer = asked(&admin, &list, &format!("label_selector={selector}")).await;
            if list.labels {
                let found = &answer.body["pagination"]["total_results"];
                assert_eq!(found, total, "{} {selector}: {answer:?}", list.path);
            } else {
                let text = "Unknown query parameter(s): 'label_selector'";
                assert!(answer.detail().contains(text), "{}: {answer:?}", list.path);
            }
        }
    }
}

#[tokio::test]
async fn every_list_refuses_what_it_does_not_know() {
    let platform = TestApp::start().await.unwrap();
    let (admin, guids) = world(&platform).await;
    let cases = [
        (
            "nmaes=x",
            "Unknown query parameter(s): 'nmaes'. Valid parameters are: ",
        ),
        ("names[gt]=x", "Unknown query parameter(s): 'names[gt]'"),
        ("page=0", "Page must be a positive integer"),
        ("page=", "Page must be a positive integer"),
        ("per_page=-1", "Per page must be a positive integer"),
        ("per_page=5001", "Per page must be between 1 and 5000"),
        ("order_by=colour", "Order by can only be: "),
        (
            "created_ats=now",
            "Created ats has an invalid timestamp format.",
        ),
        (
            "created_ats[x]=2001-01-01T00:00:00Z",
            "Created ats Invalid relational operator: 'x'",
        ),
        (
            "created_ats[lt]=2001-01-01T00:00:00Z,2001-01-01T00:00:00Z",
            "Created ats only accepts one value when using a relational operator",
        ),
    ];
    for list in lists(&guids) {
        for (query, text) in cases {
            let refused = asked(&admin, &list, query).await;
            assert_eq!(
                refused.status, list.refusal,
                "{} {query}: {refused:?}",
                list.path
            );
            assert!(
                refused.detail().contains(text),
                "{} {query}: {refused:?}",
                list.path
            );
        }
        if !list.includes.is_empty() {
            let refused = asked(&admin, &list, "include=nothing").await;
            let text = "Invalid included resource: 'nothing'. Valid included resources are: '";
            assert!(refused.detail().contains(text), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn links_of_every_list_lead_on_with_all_parameters() {
    let platform = TestApp::start().await.unwrap();
    let (admin, guids) = world(&platform).await;
    for list in lists(&guids) {
        let query = "per_page=1&page=2&guids=a%252Cb,c&created_ats[gt]=2001-01-01T00:00:00Z&order_by=-created_at";
        let answer = asked(&admin, &list, query).await;
        let pagination = &answer.body["pagination"];
        let expected = |page: u32| {
            format!(
                "{}{}?created_ats%5Bgt%5D=2001-01-01T00%3A00%3A00Z&guids=a%252Cb%2Cc\
                 &order_by=-created_at&page={page}&per_page=1",
                platform.url(),
                list.path
            )
        };
        assert_eq!(pagination["first"]["href"], expected(1), "{}", list.path);
        assert_eq!(pagination["last"]["href"], expected(1), "{}", list.path);
        assert_eq!(pagination["previous"]["href"], expected(1), "{}", list.path);
        assert_eq!(pagination["next"], Value::Null, "{}", list.path);
    }
}

#[tokio::test]
async fn pages_by_label_hold_every_match_once() {
    type Matches = fn(usize) -> bool;

    let platform = TestApp::start().await.unwrap();
    let admin = platform.admin().await.unwrap();
    let (_, space) = organization_and_space(&admin, "acme").await.unwrap();
    let mut guids = Vec::new();
    for n in 0..9 {
        let mut body =
            json!({ "name": format!("app-{n}"), "relationships": related("space", &space) });
        if n % 3 > 0 {
            body["metadata"] =
                json!({ "labels": { "tier": if n % 3 == 1 { "gold" } else { "tin" } } });
        }
        let made = admin.post("/v3/apps", &body).await.unwrap();
        guids.push(made.text("/guid").to_owned());
    }
    let names = async |query: String| {
        let (mut names, mut totals) = (Vec::new(), Vec::new());
        for page in 1..=6 {
            let page = format!("/v3/apps?{query}&per_page=2&page={page}");
            let page = admin.get(&page).await.unwrap();
            assert_eq!(page.status, 200, "{page:?}");
            totals.push(page.body["pagination"]["total_results"].clone());
            let found = page.body["resources"].as_array().unwrap();
            names.extend(
                found
                    .iter()
                    .map(|app| app["name"].as_str().unwrap().to_owned()),
            );
        }
        assert!(
            totals.iter().all(|total| *total == names.len()),
            "{totals:?}"
        );
        names
    };
    let selectors: [(&str, Matches); 6] = [
        ("tier", |n| n % 3 > 0),
        ("!tier", |n| n % 3 == 0),
        ("tier=gold", |n| n % 3 == 1),
        ("tier!=gold", |n| n % 3 != 1),
        ("tier in (gold,tin)", |n| n % 3 > 0),
        ("tier,tier notin (tin)", |n| n % 3 == 1),
    ];
    let check = async |gone: usize| {
        for (selector, matches) in selectors {
            let selector = selector.replace(' ', "%20");
            let expected: Vec<String> = (gone..9)
                .filter(|n| matches(*n))
                .map(|n| format!("app-{n}"))
                .collect();
            for order in ["", "&order_by=name", "&order_by=-created_at"] {
                // The space makes it a list with a condition, which shows the same.
                for place in [String::new(), format!("&space_guids={space}")] {
                    let query = format!("label_selector={selector}{order}{place}");
                    let mut found = names(query.clone()).await;
                    if order.starts_with("&order_by=-") {
                        found.reverse();
                    }
                    assert_eq!(found, expected, "{query}");
                }
            }
        }
    };
    check(0).await;
    for guid in &guids[..2] {
        let gone = admin.delete(&format!("/v3/apps/{guid}")).await.unwrap();
        assert_eq!(gone.status, 202);
    }
    check(2).await;
}
