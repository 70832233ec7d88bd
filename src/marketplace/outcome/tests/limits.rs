//! What texts never hold.

use super::*;

#[test]
fn credentials_appear_in_no_text() {
    for body in ["hunter2", r#"["hunter2"]"#, r#"{"credentials":"hunter2"}"#] {
        for status in [200, 201, 203] {
            let told = text(&bind(), &answered(status, body));
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
    let answer = Answer {
        body: json!({ "credentials": "hunter2" })
            .as_object()
            .cloned()
            .unwrap_or_default(),
    };
    assert!(!format!("{answer:?}").contains("hunter2"));
}

#[test]
fn long_texts_are_cut_and_large_bodies_are_malformed() {
    let long = json!({ "description": "ü".repeat(20_000) }).to_string();
    let told = text(&provision(), &answered(500, &long));
    assert!(
        told.len() < 9000 && told.contains("truncated due to size"),
        "{}",
        told.len()
    );
    let large = Reply::Answered {
        status: 201,
        body: None,
        retry_after: None,
    };
    assert_eq!(
        short(&outcome(&provision(), &large)),
        ("Malformed".to_owned(), true)
    );
    let deep = "[".repeat(100_000);
    assert_eq!(
        short(&outcome(&provision(), &answered(200, &deep))),
        ("Malformed".to_owned(), false)
    );
}
