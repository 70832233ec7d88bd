//! `X-Cf-Warnings`: texts that clients show in addition to the response.

use axum::response::{IntoResponseParts, ResponseParts};
use http::{HeaderName, HeaderValue};

const HEADER: HeaderName = HeaderName::from_static("x-cf-warnings");

/// The warnings of a response, as part of it.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Vec<String>);

impl FromIterator<String> for Warnings {
    fn from_iter<I: IntoIterator<Item = String>>(texts: I) -> Self {
        Self(texts.into_iter().collect())
    }
}

impl IntoResponseParts for Warnings {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        let encoded: Vec<String> = self
            .0
            .iter()
            .map(|text| url::form_urlencoded::byte_serialize(text.as_bytes()).collect())
            .collect();
        // Encoded text is always a valid header; without warnings there is none.
        if let Ok(value) = HeaderValue::try_from(encoded.join(","))
            && !encoded.is_empty()
        {
            parts.headers_mut().insert(HEADER, value);
        }
        Ok(parts)
    }
}
