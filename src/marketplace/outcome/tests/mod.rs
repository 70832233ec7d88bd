//! Every row of the table of answers, as users and brokers see it: what it means, in which words, and
//! whether something is deleted that may be left behind.

mod limits;

use serde_json::json;

use super::*;
use crate::marketplace::request::{
    Bind, BindResource, Context, PlanIds, PreviousValues, Provision, Update,
};

fn ids() -> PlanIds {
    PlanIds {
        service_id: "s".to_owned(),
        plan_id: "p".to_owned(),
    }
}

fn context() -> Context {
    Context {
        platform: "cloudfoundry",
        organization_guid: "o".to_owned(),
        space_guid: "s".to_owned(),
        organization_name: "acme".to_owned(),
        space_name: "dev".to_owned(),
        organization_annotations: Map::new(),
        space_annotations: Map::new(),
        instance_name: None,
        instance_annotations: None,
    }
}

fn provision() -> Request {
    Request::Provision {
        instance: "i".to_owned(),
        body: Box::new(Provision {
            ids: ids(),
            organization_guid: "o".to_owned(),
            space_guid: "s".to_owned(),
            context: context(),
            parameters: None,
            maintenance_info: None,
        }),
    }
}

fn update() -> Request {
    Request::Update {
        instance: "i".to_owned(),
        body: Box::new(Update {
            ids: ids(),
            previous_values: PreviousValues {
                ids: ids(),
                organization_id: "o".to_owned(),
                space_id: "s".to_owned(),
                maintenance_info: None,
            },
            context: context(),
            parameters: None,
            maintenance_info: None,
        }),
    }
}

fn deprovision() -> Request {
    Request::Deprovision {
        instance: "i".to_owned(),
        ids: ids(),
    }
}

const ALL: Declared = Declared {
    syslog_drain: true,
    volume_mount: true,
    retrievable: true,
};

fn bind_with(declared: Declared) -> Request {
    Request::Bind {
        instance: "i".to_owned(),
        binding: "b".to_owned(),
        body: Box::new(Bind {
            ids: ids(),
            app_guid: None,
            bind_resource: BindResource::Key {},
            context: context(),
            parameters: None,
        }),
        declared,
    }
}

fn bind() -> Request {
    bind_with(ALL)
}

fn unbind() -> Request {
    Request::Unbind {
        instance: "i".to_owned(),
        binding: "b".to_owned(),
        ids: ids(),
    }
}

fn poll(aim: Aim) -> Request {
    Request::LastOperation {
        instance: "i".to_owned(),
        binding: None,
        ids: ids(),
        operation: None,
        aim,
    }
}

fn answered(status: u16, body: &str) -> Reply {
    Reply::Answered {
        status,
        body: Some(body.as_bytes().to_vec()),
        retry_after: None,
    }
}

/// A row: what is asked, what comes, what it is in short, and whether something is deleted.
type Row = (fn() -> Request, Reply, &'static str, bool);

/// `done`, `begun`, or the kind of the fault.
fn short(outcome: &Outcome) -> (String, bool) {
    match outcome {
        Outcome::Done(_) => ("done".to_owned(), false),
        Outcome::Accepted(_) => ("begun".to_owned(), false),
        Outcome::InProgress { .. } => ("polls".to_owned(), false),
        Outcome::OperationFailed { .. } => ("failed".to_owned(), false),
        Outcome::Failed(fault) => (format!("{:?}", fault.kind), fault.mitigate),
    }
}

fn check(rows: Vec<Row>) {
    for (request, reply, expected, mitigates) in rows {
        let request = request();
        let told = short(&outcome(&request, &reply));
        assert_eq!(
            told,
            (expected.to_owned(), mitigates),
            "{request:?} {reply:?}"
        );
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn answers_to_a_new_instance() {
    check(vec![
        (provision, answered(200, "{}"), "done", false),
        (
            provision,
            answered(201, r#"{"dashboard_url":"http://x"}"#),
            "done",
            false,
        ),
        (
            provision,
            answered(202, r#"{"operation":"t"}"#),
            "begun",
            false,
        ),
        (provision, answered(200, "no"), "Malformed", false),
        (provision, answered(200, "[]"), "Malformed", false),
        (
            provision,
            answered(200, r#"{"dashboard_url":7}"#),
            "Malformed",
            false,
        ),
        (provision, answered(201, "no"), "Malformed", true),
        (provision, answered(202, "no"), "Malformed", true),
        (
            provision,
            answered(202, r#"{"operation":7}"#),
            "Malformed",
            true,
        ),
        (provision, answered(203, "{}"), "BadResponse", true),
        (provision, answered(204, ""), "BadResponse", true),
        (provision, answered(301, "{}"), "BadResponse", true),
        (provision, answered(400, "{}"), "Rejected", false),
        (provision, answered(401, "{}"), "Authentication", false),
        (provision, answered(404, "{}"), "Rejected", false),
        (provision, answered(408, "{}"), "TimedOut", false),
        (provision, answered(409, "{}"), "Conflict", false),
        (provision, answered(410, "{}"), "BadResponse", true),
        (provision, answered(418, "{}"), "Rejected", false),
        (provision, answered(422, "{}"), "BadResponse", true),
        (
            provision,
            answered(422, r#"{"error":"Odd"}"#),
            "BadResponse",
            true,
        ),
        (
            provision,
            answered(422, r#"{"error":"AsyncRequired"}"#),
            "AsyncRequired",
            false,
        ),
        (
            provision,
            answered(422, r#"{"error":"ConcurrencyError"}"#),
            "Concurrency",
            false,
        ),
        (
            provision,
            answered(422, r#"{"error":"MaintenanceInfoConflict"}"#),
            "MaintenanceInfoConflict",
            false,
        ),
        (provision, answered(500, "{}"), "BadResponse", true),
        (provision, answered(503, "{}"), "BadResponse", true),
        (provision, Reply::TimedOut, "TimedOut", true),
        (provision, Reply::BrokeOff, "BadResponse", true),
        (provision, Reply::Unreachable, "Unreachable", false),
        (
            provision,
            Reply::Offline("example.com".to_owned()),
            "Unreachable",
            false,
        ),
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn answers_to_a_new_binding() {
    check(vec![
        (bind, answered(200, r#"{"credentials":{}}"#), "done", false),
        (bind, answered(201, "{}"), "done", false),
        (bind, answered(202, "{}"), "begun", false),
        (bind, answered(200, "no"), "Malformed", false),
        (
            bind,
            answered(200, r#"{"credentials":"x"}"#),
            "Malformed",
            false,
        ),
        (
            bind,
            answered(201, r#"{"credentials":"x"}"#),
            "Malformed",
            true,
        ),
        (
            bind,
            answered(200, r#"{"route_service_url":"http://x"}"#),
            "Malformed",
            false,
        ),
        (bind, answered(201, "no"), "Malformed", true),
        (
            bind,
            answered(202, r#"{"operation":[]}"#),
            "Malformed",
            true,
        ),
        (
            bind,
            answered(200, r#"{"volume_mounts":[{}]}"#),
            "Malformed",
            true,
        ),
        (
            || {
                bind_with(Declared {
                    syslog_drain: false,
                    ..ALL
                })
            },
            answered(200, r#"{"syslog_drain_url":"syslog://x"}"#),
            "Malformed",
            true,
        ),
        (
            || {
                bind_with(Declared {
                    retrievable: false,
                    ..ALL
                })
            },
            answered(202, "{}"),
            "NotRetrievable",
            true,
        ),
        (bind, answered(206, "{}"), "BadResponse", true),
        (bind, answered(400, "{}"), "Rejected", false),
        (bind, answered(408, "{}"), "TimedOut", false),
        (bind, answered(409, "{}"), "Conflict", false),
        (bind, answered(410, "{}"), "BadResponse", true),
        (
            bind,
            answered(422, r#"{"error":"RequiresApp"}"#),
            "AppRequired",
            false,
        ),
        (
            bind,
            answered(422, r#"{"error":"ConcurrencyError"}"#),
            "Concurrency",
            false,
        ),
        (bind, answered(422, "{}"), "BadResponse", true),
        (bind, answered(500, "{}"), "BadResponse", true),
        (bind, Reply::TimedOut, "TimedOut", true),
        (bind, Reply::BrokeOff, "BadResponse", true),
        (bind, Reply::Unreachable, "Unreachable", false),
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn answers_to_changes_and_deletions() {
    for (request, conflict) in [
        (update as fn() -> Request, "BadResponse"),
        (deprovision, "BadResponse"),
        (unbind, "BadResponse"),
    ] {
        check(vec![
            (request, answered(200, "{}"), "done", false),
            (
                request,
                answered(202, r#"{"operation":"t"}"#),
                "begun",
                false,
            ),
            (request, answered(200, "no"), "Malformed", false),
            (
                request,
                answered(202, r#"{"operation":7}"#),
                "Malformed",
                false,
            ),
            (request, answered(201, "{}"), "BadResponse", false),
            (request, answered(204, ""), "BadResponse", false),
            (request, answered(301, ""), "BadResponse", false),
            (request, answered(400, "{}"), "Rejected", false),
            (request, answered(408, "{}"), "TimedOut", false),
            (request, answered(409, "{}"), conflict, false),
            (
                request,
                answered(422, r#"{"error":"AsyncRequired"}"#),
                "AsyncRequired",
                false,
            ),
            (request, answered(500, "{}"), "BadResponse", false),
            (request, Reply::TimedOut, "TimedOut", false),
            (request, Reply::BrokeOff, "BadResponse", false),
            (request, Reply::Unreachable, "Unreachable", false),
        ]);
    }
    check(vec![
        (deprovision, answered(410, "gone"), "done", false),
        (unbind, answered(410, ""), "done", false),
        (update, answered(410, "{}"), "BadResponse", false),
        (update, answered(422, "{}"), "Rejected", false),
        (
            update,
            answered(422, r#"{"error":"ConcurrencyError"}"#),
            "Concurrency",
            false,
        ),
        (
            deprovision,
            answered(422, r#"{"error":"ConcurrencyError"}"#),
            "Concurrency",
            false,
        ),
        (
            unbind,
            answered(422, r#"{"error":"ConcurrencyError"}"#),
            "Concurrency",
            false,
        ),
    ]);
}

#[test]
fn answers_to_polls() {
    let rows = |aim: fn() -> Request, gone: &'static str| -> Vec<Row> {
        vec![
            (
                aim,
                answered(200, r#"{"state":"succeeded"}"#),
                "done",
                false,
            ),
            (
                aim,
                answered(200, r#"{"state":"failed","description":"x"}"#),
                "failed",
                false,
            ),
            (
                aim,
                answered(200, r#"{"state":"in progress"}"#),
                "polls",
                false,
            ),
            (aim, answered(200, r#"{"state":"dancing"}"#), "polls", false),
            (aim, answered(200, "no"), "polls", false),
            (
                aim,
                answered(202, r#"{"state":"succeeded"}"#),
                "polls",
                false,
            ),
            (aim, answered(400, "{}"), "failed", false),
            (aim, answered(401, ""), "polls", false),
            (aim, answered(404, ""), "polls", false),
            (aim, answered(410, ""), gone, false),
            (aim, answered(500, ""), "polls", false),
            (aim, Reply::TimedOut, "polls", false),
            (aim, Reply::Unreachable, "polls", false),
            (aim, Reply::BrokeOff, "polls", false),
        ]
    };
    check(rows(|| poll(Aim::Keep), "polls"));
    check(rows(|| poll(Aim::Delete), "done"));
}

fn text(request: &Request, reply: &Reply) -> String {
    match outcome(request, reply) {
        Outcome::Failed(fault) => fault.text,
        Outcome::OperationFailed { description } => description.unwrap_or_default(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn brokers_speak_for_themselves() {
    let said = json!({ "description": "no more disks" }).to_string();
    let cases = [
        (
            provision(),
            answered(500, &said),
            "Service broker error: no more disks",
        ),
        (
            bind(),
            answered(400, &said),
            "Service broker error: no more disks",
        ),
        (
            provision(),
            answered(409, &said),
            "Service broker error: no more disks",
        ),
        (provision(), answered(409, "{}"), "Resource conflict"),
        (
            provision(),
            answered(500, "oops"),
            "The service broker returned an invalid response. Status Code: 500 Internal Server Error, Body: oops",
        ),
        (
            unbind(),
            answered(404, "{}"),
            "The service broker rejected the request. Status Code: 404 Not Found, Body: {}",
        ),
        (
            deprovision(),
            answered(201, &said),
            "The service broker returned an invalid response. Status Code: 201 Created, \
             Body: {\"description\":\"no more disks\"}",
        ),
        (poll(Aim::Keep), answered(400, &said), "no more disks"),
        (poll(Aim::Keep), answered(400, ""), "Bad request"),
        (
            provision(),
            answered(201, r#"{"dashboard_url":7,"operation":1}"#),
            "The service broker returned an invalid response: \nThe property '#/dashboard_url' of type integer did \
             not match one or more of the following types: string, null\nThe property '#/operation' of type integer \
             did not match the following type: string",
        ),
    ];
    for (request, reply, expected) in cases {
        assert_eq!(text(&request, &reply), expected);
    }
}
