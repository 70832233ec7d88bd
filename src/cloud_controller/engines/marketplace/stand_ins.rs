//! Offline stand-ins: a service whose broker is elsewhere is made by the broker of this machine.
//!
//! The metadata of a plan or an offering names what to run, in `x-cflite-offline`: `{"profile":
//! "postgresql/small"}`, or an image with the parameters of the offering `container`. Without it the
//! platform's owner may have named something for the offering's name or a tag. The instance keeps its
//! plan, its guid and the keys of its credentials. Once an instance has a stand-in, every request about
//! it goes there: its own broker never hears of it.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::brokers;
use super::turn::Turn;
use crate::base::guid::{ServiceBrokerGuid, SpaceGuid};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::model::service_plans::ServicePlan;
use crate::cloud_controller::model::service_stand_ins::StandIn;
use crate::db::{ReadTx, Vault};
use crate::marketplace::request::PlanIds;
use crate::marketplace::{Broker, Request};

/// The key of metadata that names what to run.
const METADATA: &str = "x-cflite-offline";
/// The parameter with which users choose.
const PARAMETER: &str = "x-cflite";
/// Whose parameters an image is.
const IMAGE: &str = "container/image";

/// When services get a stand-in of their own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StandInMode {
    /// When the broker cannot be reached.
    Auto,
    /// Whenever there is one.
    Always,
    /// When a user asks for it.
    Never,
}

/// What is needed to make stand-ins.
#[derive(Debug, Clone)]
pub(crate) struct StandIns {
    /// The broker of this machine; `None` = there are no stand-ins.
    pub broker: Option<ServiceBrokerGuid>,
    /// Without a user's choice.
    pub mode: StandInMode,
    /// `OFFERING/PLAN` by the name or a tag of an offering.
    pub plans: BTreeMap<String, String>,
}

/// What a user asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// Nothing.
    None,
    /// A stand-in.
    Offline,
    /// The broker, or an error.
    Online,
}

/// Takes what is not for brokers out of parameters.
pub(super) fn choice(parameters: &mut Option<Map<String, Value>>) -> Result<Choice> {
    let Some(own) = parameters.as_mut().and_then(|all| all.remove(PARAMETER)) else {
        return Ok(Choice::None);
    };
    match own.get("mode").and_then(Value::as_str) {
        Some("offline") => Ok(Choice::Offline),
        Some("online") => Ok(Choice::Online),
        _ => Err(Error::unprocessable(
            "The parameter x-cflite has to be {\"mode\": \"offline\"} or {\"mode\": \"online\"}.",
        )),
    }
}

/// What has to run in place of a plan, as its metadata or the platform's owner say.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    /// `postgresql/small`
    profile: String,
    what: String,
    parameters: Map<String, Value>,
    credentials: Map<String, Value>,
}

impl StandIns {
    /// Whether a new instance gets a stand-in before its broker is asked.
    pub(super) fn comes_first(&self, choice: Choice) -> bool {
        match choice {
            Choice::Offline => true,
            Choice::Online => false,
            Choice::None => self.mode == StandInMode::Always,
        }
    }

    /// Whether one gets a stand-in when its broker cannot be reached.
    pub(super) fn comes_after(&self, choice: Choice) -> bool {
        choice == Choice::None && self.mode == StandInMode::Auto
    }

    /// The stand-in for instances of a plan; `None` when nobody says what to run.
    pub(super) fn of(
        &self,
        turn: &Turn<'_>,
        plan: &ServicePlan,
        space: &SpaceGuid,
    ) -> Result<Option<StandIn>> {
        let Some(broker) = &self.broker else {
            return Ok(None);
        };
        // Its own services need none.
        if plan.offering.broker_guid == *broker {
            return Ok(None);
        }
        let Some(wanted) = self.wanted(plan).map_err(|fault| named(plan, &fault))? else {
            return Ok(None);
        };
        let all = model::service_plans::of_broker(turn.tx, broker)?;
        let found = all
            .iter()
            .find(|found| found.available && wanted.profile == name_of(found));
        let found = found.ok_or_else(|| {
            named(
                plan,
                &format!("there is no plan {} on this machine", wanted.profile),
            )
        })?;
        // A developer's own broker gives nobody what the platform's owner withholds.
        if plan.offering.broker_space.is_some() {
            let space = model::spaces::find(turn.tx, space)?;
            let space = space.ok_or_else(|| Error::internal("an instance without its space"))?;
            if !model::service_plans::is_visible_in(turn.tx, found, &space)? {
                let fault = format!("the plan {} is not for this space", wanted.profile);
                return Err(named(plan, &fault));
            }
        }
        Ok(Some(StandIn {
            broker_guid: broker.clone(),
            offering_id: found.offering.catalog_id.clone(),
            plan_id: found.catalog_id.clone(),
            what: wanted.what,
            parameters: wanted.parameters,
            credentials: wanted.credentials,
        }))
    }

    fn wanted(&self, plan: &ServicePlan) -> std::result::Result<Option<Wanted>, String> {
        let of_plan = plan.metadata.as_ref().and_then(|all| all.get(METADATA));
        let of_offering = || plan.offering.metadata.as_ref()?.get(METADATA);
        if let Some(written) = of_plan.or_else(of_offering) {
            return read(written).map(Some);
        }
        let names = std::iter::once(&plan.offering.name).chain(&plan.offering.tags);
        let mut mapped = names.filter_map(|name| self.plans.get(name));
        Ok(mapped.next().map(|profile| Wanted {
            profile: profile.clone(),
            what: profile.clone(),
            parameters: Map::new(),
            credentials: Map::new(),
        }))
    }
}

fn name_of(plan: &ServicePlan) -> String {
    format!("{}/{}", plan.offering.name, plan.name)
}

fn named(plan: &ServicePlan, fault: &str) -> Error {
    let name = name_of(plan);
    Error::unprocessable(format!(
        "The offline stand-in of the plan {name} cannot be made: {fault}."
    ))
}

fn read(written: &Value) -> std::result::Result<Wanted, String> {
    let Some(mut all) = written.as_object().cloned() else {
        return Err(format!("{METADATA} has to be an object"));
    };
    let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    let profile = text(all.remove("profile"));
    match (profile, all.get("image").and_then(Value::as_str)) {
        (Some(profile), None) => {
            let credentials = match all.remove("credentials") {
                None => Map::new(),
                Some(Value::Object(credentials)) => credentials,
                Some(_) => return Err("credentials has to be an object".to_owned()),
            };
            Ok(Wanted {
                what: profile.clone(),
                profile,
                parameters: all,
                credentials,
            })
        }
        (None, Some(image)) => Ok(Wanted {
            profile: IMAGE.to_owned(),
            what: image.to_owned(),
            parameters: all,
            credentials: Map::new(),
        }),
        _ => Err(format!(
            "{METADATA} has to have either a profile or an image"
        )),
    }
}

/// Sends a request about an instance with a stand-in to the broker that has it.
pub(super) fn redirected(
    tx: &ReadTx<'_>,
    vault: &Vault,
    broker: Option<Broker>,
    request: Request,
) -> Result<Option<(Broker, Request)>> {
    let stand_in = match request.instance() {
        Some(instance) => model::service_stand_ins::find(tx, instance)?,
        None => None,
    };
    let Some(stand_in) = stand_in else {
        return Ok(broker.map(|broker| (broker, request)));
    };
    let broker = brokers::find(tx, vault, stand_in.broker_guid.as_str())?;
    Ok(broker.map(|broker| (broker, rewritten(request, stand_in))))
}

/// The same request about what the stand-in is. Parameters of users are for the broker that it stands
/// in for, so they are not passed on.
fn rewritten(mut request: Request, stand_in: StandIn) -> Request {
    let new = PlanIds {
        service_id: stand_in.offering_id,
        plan_id: stand_in.plan_id,
    };
    match &mut request {
        Request::Provision { body, .. } => {
            body.ids = new;
            body.parameters = Some(stand_in.parameters).filter(|all| !all.is_empty());
            body.maintenance_info = None;
        }
        Request::Update { body, .. } => {
            body.previous_values.ids = new.clone();
            body.previous_values.maintenance_info = None;
            body.ids = new;
            body.parameters = None;
            body.maintenance_info = None;
        }
        Request::Bind { body, .. } => {
            body.ids = new;
            let credentials = Some(stand_in.credentials).filter(|all| !all.is_empty());
            body.parameters = credentials
                .map(|all| Map::from_iter([("credentials".to_owned(), Value::Object(all))]));
        }
        Request::Deprovision { ids, .. }
        | Request::Unbind { ids, .. }
        | Request::LastOperation { ids, .. } => *ids = new,
        Request::FetchInstance { .. } | Request::FetchBinding { .. } | Request::Catalog => {}
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn metadata_names_a_profile_or_an_image() {
        let profile =
            read(&json!({ "profile": "redis/small", "credentials": { "u": "{{ host }}" } }));
        let profile = profile.expect("valid");
        assert_eq!(
            (profile.profile.as_str(), profile.what.as_str()),
            ("redis/small", "redis/small")
        );
        assert!(profile.parameters.is_empty() && profile.credentials.contains_key("u"));

        let image = read(&json!({ "image": "acme/db", "tag": "2", "ports": { "main": 1 } }));
        let image = image.expect("valid");
        assert_eq!(
            (image.profile.as_str(), image.what.as_str()),
            (IMAGE, "acme/db")
        );
        assert_eq!(image.parameters["tag"], "2");

        for wrong in [
            json!("redis"),
            json!({}),
            json!({ "profile": "a/b", "image": "c" }),
        ] {
            read(&wrong).expect_err("refused");
        }
    }

    #[test]
    fn users_choose_with_a_parameter_that_no_broker_sees() {
        let given = |value: Value| Some(value.as_object().cloned().expect("an object"));
        let mut parameters = given(json!({ "a": 1, "x-cflite": { "mode": "offline" } }));
        assert_eq!(choice(&mut parameters).expect("valid"), Choice::Offline);
        assert_eq!(parameters, given(json!({ "a": 1 })));
        assert_eq!(choice(&mut parameters).expect("valid"), Choice::None);
        let mut wrong = given(json!({ "x-cflite": { "mode": "sometimes" } }));
        choice(&mut wrong).expect_err("refused");
    }
}
