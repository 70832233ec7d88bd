//! `GET /v3/service_instances/:guid/permissions`: what dashboards of brokers ask about their visitors,
//! whose tokens may be good for nothing else.

use axum::Json;
use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use serde_json::{Value, json};

use crate::base::guid::{ServiceInstanceGuid, UserGuid};
use crate::cloud_controller::access::{Authority, Caller};
use crate::cloud_controller::error::{Error, Result};
use crate::cloud_controller::model;
use crate::cloud_controller::state::CloudController;
use crate::cloud_controller::v3::{ApiError, ApiResult, caller_of};

const SCOPE: &str = "cloud_controller_service_permissions.read";

/// Who asks: with a scope of the Cloud Controller, or with the one for this alone.
pub(super) struct Visitor {
    caller: Caller,
    cc: CloudController,
}

impl FromRequestParts<CloudController> for Visitor {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, cc: &CloudController) -> ApiResult<Self> {
        let header = parts.headers.get(http::header::AUTHORIZATION);
        let header = header.and_then(|value| value.to_str().ok()).unwrap_or("");
        let token = match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            None if header.is_empty() => return Err(Error::not_authenticated().into()),
            _ => return Err(Error::invalid_token().into()),
        };
        let claims = cc.uaa().verify(token).map_err(|_| Error::invalid_token())?;
        let caller = match caller_of(&claims) {
            Ok(caller) => caller,
            Err(refusal) if !claims.has_scope(SCOPE) => return Err(refusal),
            Err(_) => {
                let guid = claims.user.clone();
                Caller {
                    guid: guid.unwrap_or_else(|| UserGuid::from(claims.client_id.as_str())),
                    name: claims.user_name.clone().unwrap_or_default(),
                    email: claims.email.clone().unwrap_or_default(),
                    is_client: claims.user.is_none(),
                    authority: Authority::Roles,
                }
            }
        };
        Ok(Self {
            caller,
            cc: cc.clone(),
        })
    }
}

pub(super) async fn show(
    Visitor { caller, cc }: Visitor,
    Path(guid): Path<ServiceInstanceGuid>,
) -> ApiResult<Json<Value>> {
    let shown: Result<Value> = cc
        .db()
        .read(move |tx| {
            let instance = model::service_instances::find(tx, &guid)?;
            let instance = instance.ok_or_else(|| Error::not_found("Service instance"))?;
            let manage = caller.may_write_space(tx, &instance.space_guid).is_ok();
            let read = model::service_instances::find_visible(tx, &caller, &guid)?.is_some();
            Ok(json!({ "manage": manage, "read": read }))
        })
        .await;
    Ok(Json(shown?))
}
