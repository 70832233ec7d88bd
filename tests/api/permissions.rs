//! Tables of who may do what: a row is a method, a path, the status for each role and a body; words
//! in capitals stand for guids.

use cflite::testing::{TestApp, TestClient};

/// Signs somebody in who has this role only: of the organization or the space, `nobody` for none,
/// or a group of UAA.
pub(crate) async fn person(
    app: &TestApp,
    role: &str,
    (organization, space): (&str, &str),
) -> TestClient {
    let client = if role == "nobody" {
        app.user(role).await
    } else if role.starts_with("cloud_controller.") {
        app.in_group(role, role).await
    } else {
        app.member((role, role), (organization, space)).await
    };
    client.unwrap()
}

/// Asks every row of `table` as every role; fails with all answers that are not as written.
pub(crate) async fn check(
    people: &[(&str, TestClient)],
    words: &[(&str, &str)],
    table: &'static str,
) {
    let mut wrong = Vec::new();
    for row in table.lines().filter(|row| !row.is_empty()) {
        let mut filled = row.to_owned();
        for (word, guid) in words {
            filled = filled.replace(word, guid);
        }
        let cells: Vec<&str> = filled.split_whitespace().collect();
        let (method, path, body) = (cells[0], cells[1], cells[2 + people.len()]);
        let (kind, body) = match body {
            "-" => ("application/json", ""),
            "yaml" => ("application/x-yaml", "applications:\n- name: web\n"),
            json => ("application/json", json),
        };
        // Those who may not ask first: what they try must change nothing for those who may.
        for (i, (role, client)) in people.iter().enumerate().rev() {
            let request = client.raw(method, path, kind, body.as_bytes().to_vec());
            let answer = request.await.unwrap();
            if answer.status.to_string() != cells[2 + i] {
                let shown = row.split_whitespace().nth(1).unwrap_or_default();
                let (got, wanted) = (answer.status, cells[2 + i]);
                wrong.push(format!(
                    "{role}: {method} {shown} is {got}, not {wanted}: {}",
                    answer.detail()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
