//! Bodies and queries about service brokers.

use serde_json::Value;

use crate::base::guid::SpaceGuid;
use crate::cloud_controller::body::{Body, Fields, Invalid};
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::MetadataChange;
use crate::cloud_controller::model::service_brokers::BrokerCredentials;
use crate::cloud_controller::query::ListRules;

pub(crate) const LIST: ListRules = ListRules::new(&["space_guids", "names"]).order_by(&["name"]);

/// `POST /v3/service_brokers`.
#[derive(Debug)]
pub(crate) struct CreateBroker {
    pub name: String,
    pub url: String,
    pub credentials: BrokerCredentials,
    pub space: Option<SpaceGuid>,
    pub metadata: MetadataChange,
    pub request: Value,
}

/// `PATCH /v3/service_brokers/:guid`.
#[derive(Debug)]
pub(crate) struct UpdateBroker {
    pub name: Option<String>,
    pub url: Option<String>,
    pub credentials: Option<BrokerCredentials>,
    pub metadata: MetadataChange,
    pub request: Value,
}

impl UpdateBroker {
    /// Whether there is more to it than labels.
    pub(crate) fn needs_job(&self) -> bool {
        self.name.is_some() || self.url.is_some() || self.credentials.is_some()
    }
}

pub(crate) fn create(mut body: Body) -> Result<CreateBroker> {
    let request = without_secrets(body.as_given());
    let name = name(&mut body, Presence::Required);
    let url = url(&mut body, Presence::Required);
    let credentials = credentials(&mut body, Presence::Required);
    let given = body.fields.take("relationships");
    let space = given.and_then(|given| {
        body.fields.put("relationships", given);
        let [space] = body.relationships(["space"]);
        space.flatten().map(SpaceGuid::from)
    });
    let metadata = body.metadata();
    body.finish()?;
    Ok(CreateBroker {
        name: name.unwrap_or_default(),
        url: url.unwrap_or_default(),
        credentials: credentials.unwrap_or_else(|| BrokerCredentials {
            username: String::new(),
            password: String::new(),
        }),
        space,
        metadata,
        request,
    })
}

pub(crate) fn update(mut body: Body) -> Result<UpdateBroker> {
    let request = without_secrets(body.as_given());
    let name = name(&mut body, Presence::Optional);
    let url = url(&mut body, Presence::Optional);
    let credentials = credentials(&mut body, Presence::Optional);
    let metadata = body.metadata();
    body.finish()?;
    Ok(UpdateBroker {
        name,
        url,
        credentials,
        metadata,
        request,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
}

fn without_secrets(mut request: Value) -> Value {
    if let Some(credentials) = request.pointer_mut("/authentication/credentials")
        && let Some(map) = credentials.as_object_mut()
        && map.contains_key("password")
    {
        map.insert("password".to_owned(), Value::from("[PRIVATE DATA HIDDEN]"));
    }
    request
}

fn name(body: &mut Body, presence: Presence) -> Option<String> {
    let given = body.fields.take("name");
    match given {
        Some(Value::String(text)) if text.is_empty() => {
            body.invalid.field("name", "must not be empty string");
            None
        }
        Some(Value::String(text)) => {
            body.check_name("name", &text);
            Some(text)
        }
        None if presence == Presence::Optional => None,
        None | Some(_) => {
            body.invalid.field("name", "must be a string");
            None
        }
    }
}

/// HTTP or HTTPS, with nobody's name in it.
fn url(body: &mut Body, presence: Presence) -> Option<String> {
    let text = match body.fields.take("url") {
        Some(Value::String(text)) => text,
        None if presence == Presence::Optional => return None,
        None => {
            body.invalid.field("url", "must be a string");
            body.invalid.add("Url '' must be a valid url");
            return None;
        }
        Some(other) => {
            body.invalid.field("url", "must be a string");
            body.invalid
                .add(format!("Url '{other}' must be a valid url"));
            return None;
        }
    };
    let parsed = url::Url::parse(&text).ok();
    let parsed = parsed.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    match parsed {
        None => {
            body.invalid
                .add(format!("Url '{text}' must be a valid url"));
            None
        }
        Some(url) if !url.username().is_empty() || url.password().is_some() => {
            body.invalid.field("url", "must not contain authentication");
            None
        }
        Some(_) => Some(text),
    }
}

fn credentials(body: &mut Body, presence: Presence) -> Option<BrokerCredentials> {
    let given = match body.fields.take("authentication") {
        Some(Value::Object(given)) => given,
        None if presence == Presence::Optional => return None,
        None | Some(_) => {
            body.invalid.field("authentication", "must be an object");
            return None;
        }
    };
    let mut fields = Fields::new(given);
    let mut faults = Invalid::default();
    if fields.take("type") != Some(Value::from("basic")) {
        faults.add("authentication.type must be one of [\"basic\"]");
    }
    let credentials = fields.object("credentials", &mut faults);
    if credentials.is_none() && faults.is_empty() {
        faults.add("Credentials must be an object");
    }
    fields.refuse_unknown(&mut faults, "");
    let mut own = Invalid::default();
    let found = credentials.and_then(|mut fields| {
        let text = |fields: &mut Fields, name: &str, own: &mut Invalid| {
            let text = fields
                .string(name, own)
                .filter(|text| !text.trim().is_empty());
            if text.is_none() && own.is_empty() {
                own.field(name, "can't be blank");
            }
            text
        };
        let username = text(&mut fields, "username", &mut own);
        let password = text(&mut fields, "password", &mut own);
        fields.refuse_unknown(&mut own, "");
        Some(BrokerCredentials {
            username: username?,
            password: password?,
        })
    });
    if !own.is_empty() {
        let texts = own.into_texts();
        faults.add(format!(
            "Field(s) [\"username\", \"password\"] must be valid: {texts:?}"
        ));
    }
    for fault in faults.into_texts() {
        body.invalid.field("authentication", &fault);
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn open(value: Value) -> Body {
        match value {
            Value::Object(map) => Body::new(map),
            other => panic!("{other} is no object"),
        }
    }

    fn good() -> Value {
        json!({
            "name": "b", "url": "http://127.0.0.1:9/x",
            "authentication": { "type": "basic", "credentials": { "username": "u", "password": "p" } },
        })
    }

    #[test]
    fn a_new_broker_is_checked() {
        let made = create(open(good())).expect("valid");
        assert_eq!((made.name.as_str(), made.space), ("b", None));
        assert!(
            !made.request.to_string().contains("\"p\""),
            "{}",
            made.request
        );
        let cases = [
            (json!({ "name": "" }), "Name must not be empty string"),
            (json!({ "name": 7 }), "Name must be a string"),
            (
                json!({ "url": "ftp://x" }),
                "Url 'ftp://x' must be a valid url",
            ),
            (
                json!({ "url": "http://u:p@x" }),
                "Url must not contain authentication",
            ),
            (
                json!({ "url": "http://u@x" }),
                "Url must not contain authentication",
            ),
            (json!({ "url": "x" }), "Url 'x' must be a valid url"),
            (
                json!({ "authentication": 1 }),
                "Authentication must be an object",
            ),
            (
                json!({ "authentication": { "type": "oauth", "credentials": { "username": "u", "password": "p" } } }),
                "Authentication authentication.type must be one of [\"basic\"]",
            ),
            (
                json!({ "authentication": { "type": "basic", "credentials": { "username": "u" } } }),
                "Authentication Field(s) [\"username\", \"password\"] must be valid: [\"Password can't be blank\"]",
            ),
            (json!({ "colour": 1 }), "Unknown field(s): 'colour'"),
            (
                json!({ "relationships": {} }),
                "Relationships 'relationships' must include one or more valid relationships",
            ),
        ];
        for (change, fault) in cases {
            let mut body = good();
            for (key, value) in change.as_object().expect("an object") {
                body[key] = value.clone();
            }
            assert_eq!(create(open(body)).expect_err(fault).detail(), fault);
        }
    }

    #[test]
    fn a_change_of_labels_needs_no_job() {
        let labels = json!({ "metadata": { "labels": { "a": "b" } } });
        assert!(!update(open(labels)).expect("valid").needs_job());
        assert!(
            update(open(json!({ "name": "x" })))
                .expect("valid")
                .needs_job()
        );
    }
}
