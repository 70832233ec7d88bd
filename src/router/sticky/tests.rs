//! The cookies of requests and responses, one rule a test.

use super::super::table::{Route, Table};
use super::super::testing::{endpoint, route};
use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn map(name: http::HeaderName, lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(name.clone(), HeaderValue::from_str(line).unwrap());
    }
    headers
}

fn asked(lines: &[&str]) -> Option<Box<Affinity>> {
    Affinity::of_request(&map(COOKIE, lines))
}

/// What the router adds to a response of instance `instance-1` that sets these cookies.
fn added(request: &[&str], response: &[&str]) -> Vec<String> {
    added_on("", request, response)
}

fn added_on(path: &str, request: &[&str], response: &[&str]) -> Vec<String> {
    let route = Route {
        path: path.to_owned(),
        ..route("app.example", "", vec![endpoint(1)])
    };
    let table = Table::build(vec![route]);
    let pool = table.find("app.example", path).unwrap();
    let mut headers = map(SET_COOKIE, response);
    let affinity = asked(request);
    add_cookies(
        &mut headers,
        affinity.as_deref(),
        pool,
        &pool.endpoints[0],
        NOW,
    );
    let all = headers.get_all(SET_COOKIE).iter().skip(response.len());
    all.map(|line| line.to_str().unwrap().to_owned()).collect()
}

#[test]
fn a_request_is_in_a_session_only_with_both_cookies() {
    assert_eq!(asked(&[]), None);
    assert_eq!(asked(&["JSESSIONID=a"]), None);
    assert_eq!(asked(&["__VCAP_ID__=i"]), None);
    assert_eq!(asked(&["JSESSIONID=a; __VCAP_ID__="]), None);
    assert_eq!(asked(&["XJSESSIONID=a; __VCAP_ID__=i"]), None);
    assert_eq!(asked(&["jsessionid=a; __VCAP_ID__=i"]), None);
    for lines in [
        &["JSESSIONID=a; __VCAP_ID__=i"][..],
        &["__VCAP_ID__=i;JSESSIONID=a"],
        &["__Host-JSESSIONID=a; __VCAP_ID__=\"i\""],
        &["JSESSIONID=a", "x=\u{fc}; __VCAP_ID__=i; __VCAP_ID__=j"],
    ] {
        assert_eq!(asked(lines).unwrap().instance, "i", "{lines:?}");
    }
}

#[test]
fn a_session_cookie_brings_the_pair_with_its_attributes() {
    insta::assert_snapshot!(added(&[], &["JSESSIONID=abc"]).join("\n"), @r"
    __VCAP_ID__=instance-1; Path=/; HttpOnly
    __VCAP_ID_META__=; Path=/; HttpOnly
    ");
    let full = "JSESSIONID=abc; Path=/x; Domain=d; Secure; SameSite=none; Max-Age=60; \
        Expires=Wed, 21 Oct 2015 07:28:00 GMT; Partitioned";
    insta::assert_snapshot!(added_on("/Deep/er", &[], &["other=1", full]).join("\n"), @r"
    __VCAP_ID__=instance-1; Path=/Deep/er; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Max-Age=60; HttpOnly; Secure; SameSite=None; Partitioned
    __VCAP_ID_META__=secure&partitioned&expires=1445412480&maxage=1700000060&samesite=none; Path=/Deep/er; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Max-Age=60; HttpOnly; Secure; SameSite=None; Partitioned
    ");
    let deleted = "__Host-JSESSIONID=; max-age=0; secure; expires=Thu, 01-Jan-1970 00:00:00 GMT";
    insta::assert_snapshot!(added(&[], &[deleted]).join("\n"), @r"
    __VCAP_ID__=instance-1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure
    __VCAP_ID_META__=secure&expires=0&maxage=-1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure
    ");
}

#[test]
fn every_session_cookie_of_a_response_has_a_pair() {
    let cookies = [
        "JSESSIONID=a; Partitioned; Secure",
        "JSESSIONID=; Max-Age=0",
    ];
    let added = added(&[], &cookies);
    assert_eq!(added.len(), 4);
    assert!(added[0].ends_with("; Secure; Partitioned"), "{added:?}");
    assert!(added[2].contains("; Max-Age=0;"), "{added:?}");
}

#[test]
fn nonsense_in_attributes_is_passed_over() {
    let cookie = "JSESSIONID=a; Max-Age=soon; Expires=tomorrow; SameSite=Odd; Unknown; =";
    let added = added(&[], &[cookie]);
    assert_eq!(added[0], "__VCAP_ID__=instance-1; Path=/; HttpOnly");
}

#[test]
fn an_app_that_sets_the_cookie_itself_is_left_alone() {
    for response in [
        &["JSESSIONID=a", "__VCAP_ID__=mine"][..],
        &["__VCAP_ID__=mine; Path=/", "JSESSIONID=a"],
    ] {
        assert!(added(&[], response).is_empty());
        let stale = "JSESSIONID=a; __VCAP_ID__=gone";
        assert!(added(&[stale], response).is_empty());
    }
}

#[test]
fn a_session_that_stays_where_it_is_gets_no_cookie() {
    let request = "JSESSIONID=a; __VCAP_ID__=instance-1";
    assert!(added(&[request], &[]).is_empty());
    assert!(added(&[request], &["other=1"]).is_empty());
    assert!(added(&["JSESSIONID=a"], &[]).is_empty());
}

#[test]
fn a_moved_session_is_bound_again_with_its_attributes() {
    let plain = "JSESSIONID=a; __VCAP_ID__=gone";
    insta::assert_snapshot!(added(&[plain], &["other=1"]).join("\n"),
        @"__VCAP_ID__=instance-1; Path=/; HttpOnly");
    let meta = "JSESSIONID=a; __VCAP_ID__=gone; __VCAP_ID_META__=secure&partitioned&\
        expires=1445412480&maxage=1700000010&samesite=strict";
    insta::assert_snapshot!(added(&[meta], &[]).join("\n"),
        @"__VCAP_ID__=instance-1; Path=/; Expires=Wed, 21 Oct 2015 07:28:00 GMT; Max-Age=10; HttpOnly; Secure; SameSite=Strict; Partitioned");
    let over = "JSESSIONID=a; __VCAP_ID__=gone; __VCAP_ID_META__=maxage=1699999999&samesite=x";
    insta::assert_snapshot!(added(&[over], &[]).join("\n"),
        @"__VCAP_ID__=instance-1; Path=/; Max-Age=0; HttpOnly");
    let forged = "JSESSIONID=a; __VCAP_ID__=gone; __VCAP_ID_META__=expires=9223372036854775807&%0d";
    insta::assert_snapshot!(added(&[forged], &[]).join("\n"),
        @"__VCAP_ID__=instance-1; Path=/; HttpOnly");
    let renewed = added(&[meta], &["JSESSIONID=b; SameSite=Lax"]);
    assert_eq!(renewed.len(), 2);
    assert_eq!(
        renewed[0],
        "__VCAP_ID__=instance-1; Path=/; HttpOnly; SameSite=Lax"
    );
}
