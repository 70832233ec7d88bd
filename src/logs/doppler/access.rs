//! Who asks: the token comes in the `Authorization` header or, from browsers, in the cookie
//! `authorization`, which `/set-cookie` sets.

use axum::extract::Extension;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::logs::grant::bearer;
use crate::net::RequestBase;
use crate::net::caller::Scheme;

/// The cookie's name.
const COOKIE: &str = "authorization";
/// The longest token.
const LONGEST: usize = 16 * 1024;

/// The value of the `Authorization` header or of the cookie.
pub(super) fn authorization(headers: &HeaderMap) -> Option<String> {
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        return bearer(value.to_str().ok()?);
    }
    let cookies = headers.get_all(header::COOKIE).iter();
    let cookies = cookies.filter_map(|cookies| cookies.to_str().ok());
    let value = cookies
        .flat_map(|cookies| cookies.split(';'))
        .filter_map(|cookie| cookie.trim().split_once('='))
        .find_map(|(name, value)| (name == COOKIE).then_some(value))?;
    let value = percent_decode_str(value.trim_matches('"'))
        .decode_utf8()
        .ok()?;
    bearer(&value)
}

/// The refusal of a caller.
pub(super) fn unauthorized(why: &str) -> Response {
    let mut response = (
        StatusCode::UNAUTHORIZED,
        format!("You are not authorized. {why}"),
    )
        .into_response();
    let basic = HeaderValue::from_static("Basic");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, basic);
    response
}

/// `POST /set-cookie`. Only the cookie that is read here can be set: another page of the platform
/// may have cookies of its own.
pub(super) async fn set_cookie(base: Option<Extension<RequestBase>>, form: String) -> Response {
    let (mut name, mut value) = (String::new(), String::new());
    for (key, content) in url::form_urlencoded::parse(form.as_bytes()) {
        match &*key {
            "CookieName" => name = content.into_owned(),
            "CookieValue" => value = content.into_owned(),
            _ => {}
        }
    }
    if name != COOKIE || value.is_empty() || value.len() > LONGEST {
        let text = "CookieName must be \"authorization\", and CookieValue a token";
        return (StatusCode::BAD_REQUEST, text).into_response();
    }
    let value = utf8_percent_encode(&value, NON_ALPHANUMERIC);
    let is_https = base.is_some_and(|base| base.scheme == Scheme::Https);
    let secure = if is_https { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Strict{secure}");
    match HeaderValue::from_str(&cookie) {
        Ok(cookie) => ([(header::SET_COOKIE, cookie)], ()).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let value = HeaderValue::from_str(value).expect("a value");
            (name.clone(), value)
        });
        pairs.collect()
    }

    #[test]
    fn the_token_is_in_the_header_or_the_cookie() {
        let cases = [
            (headers(&[]), None),
            (headers(&[(header::AUTHORIZATION, "")]), None),
            (
                headers(&[(header::AUTHORIZATION, "bearer a")]),
                Some("bearer a"),
            ),
            (
                headers(&[(header::COOKIE, "x=1; authorization=bearer%20a; y=2")]),
                Some("bearer a"),
            ),
            (
                headers(&[(header::COOKIE, "authorization=\"bearer a\"")]),
                Some("bearer a"),
            ),
            (headers(&[(header::COOKIE, "xauthorization=a")]), None),
            (
                headers(&[
                    (header::AUTHORIZATION, "bearer b"),
                    (header::COOKIE, "authorization=a"),
                ]),
                Some("bearer b"),
            ),
        ];
        for (headers, expected) in cases {
            assert_eq!(authorization(&headers).as_deref(), expected, "{headers:?}");
        }
    }

    #[tokio::test]
    async fn only_the_cookie_of_this_api_can_be_set() {
        let set = async |form: &str| set_cookie(None, form.to_owned()).await;
        let answer = set("CookieName=authorization&CookieValue=bearer+a").await;
        assert_eq!(answer.status(), 200);
        let cookie = answer.headers()["set-cookie"].to_str().expect("text");
        assert_eq!(
            cookie,
            "authorization=bearer%20a; Path=/; HttpOnly; SameSite=Strict"
        );
        for bad in [
            "",
            "CookieName=session&CookieValue=a",
            "CookieName=authorization",
        ] {
            assert_eq!(set(bad).await.status(), 400, "{bad}");
        }
    }
}
