//! The fields of a form.

use axum::body::Body;
use http::{HeaderMap, StatusCode, header};

use super::show::Refused;

/// The largest form; uploads have limits of their own.
const LARGEST_FORM: usize = 1024 * 1024;

/// What a form sent, in order; a field may repeat.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl From<Vec<(String, String)>> for Fields {
    fn from(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }
}

impl Fields {
    /// Reads a URL-encoded form. Anything else has no fields.
    pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Self, Refused> {
        let kind = headers.get(header::CONTENT_TYPE);
        let is_form = kind
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        if !is_form {
            return Ok(Self::default());
        }
        let bytes = axum::body::to_bytes(body, LARGEST_FORM).await;
        let bytes = bytes.map_err(|_| {
            let text = "The form has more than 1 MB. Nothing was changed.";
            Refused::of(StatusCode::PAYLOAD_TOO_LARGE, "Too large", text)
        })?;
        Ok(Self(
            url::form_urlencoded::parse(&bytes).into_owned().collect(),
        ))
    }

    /// These fields.
    #[cfg(test)]
    pub(super) fn of(pairs: &[(&str, &str)]) -> Self {
        let owned = pairs.iter();
        let owned = owned.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self(owned.collect())
    }

    /// Checks that a name was typed before something is deleted.
    pub(super) fn typed(&self, name: &str, what: &str) -> Result<(), Refused> {
        if self.get("typed") == Some(name) {
            return Ok(());
        }
        let text = format!("Type the name {name} to delete {what}");
        Err(Refused::field("typed", &text))
    }

    /// The first value of a field; `None` when it was not sent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(key, _)| key == name);
        found.next().map(|(_, value)| value.as_str())
    }

    /// The value without blanks around it; `None` when it is empty or was not sent.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }

    /// All values of a field.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let found = self.0.iter().filter(move |(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether a box is checked.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !value.is_empty())
    }

    /// A whole number; `None` when the field is empty.
    pub(super) fn number(&self, name: &str, label: &str) -> Result<Option<i64>, Refused> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Refused::field(
                name,
                &format!("{label} must be a whole number"),
            )),
        }
    }

    /// A text that must be there.
    pub(super) fn required(&self, name: &str, label: &str) -> Result<&str, Refused> {
        self.text(name)
            .ok_or_else(|| Refused::field(name, &format!("{label} can't be blank")))
    }
}
