//! A service instance with its plan, its place, and what the visitor may do.

use crate::web::api::models::{Included, Organization, Space};
use crate::web::api::services::{Offering, Plan, ServiceInstance};
use crate::web::fmt;
use crate::web::show::Refused;
use crate::web::visitor::{InSpace, Visitor};

/// An instance with its plan and its place.
pub(super) struct Head {
    pub(super) instance: ServiceInstance,
    pub(super) space: Space,
    pub(super) organization: Organization,
    /// Not of user-provided ones.
    pub(super) offer: Option<(Offering, Plan)>,
    pub(super) may: InSpace,
}

impl Head {
    /// Reads an instance as the visitor sees it.
    pub(super) async fn load(visitor: &Visitor, guid: &str) -> Result<Self, Refused> {
        let api = &visitor.api;
        let path = format!("/v3/service_instances/{}", fmt::segment(guid));
        let instance: ServiceInstance = api.get(&path).await?;
        let space = instance.relationships.space.guid();
        let space: Option<Space> = api.find(&format!("/v3/spaces/{space}")).await?;
        let Some(space) = space else {
            return Self::shared(visitor, instance).await;
        };
        let organization = space.relationships.organization.guid().to_owned();
        let organization = format!("/v3/organizations/{organization}");
        let organization: Organization = api.get(&organization).await?;
        let may = visitor.in_space(&space.guid, &organization.guid).await?;
        let offer = Self::offer(visitor, &instance).await?;
        Ok(Self {
            instance,
            space,
            organization,
            offer,
            may,
        })
    }

    /// An instance that is shared from a space which the visitor does not see.
    async fn shared(visitor: &Visitor, instance: ServiceInstance) -> Result<Self, Refused> {
        let path = format!("/v3/service_instances/{}?{}", instance.guid, INCLUDED);
        let mut found: Shared = visitor.api.get(&path).await?;
        let (Some(space), Some(organization)) = (
            found.included.spaces.pop(),
            found.included.organizations.pop(),
        ) else {
            return Err(Refused::not_found());
        };
        Ok(Self {
            offer: Self::offer(visitor, &instance).await?,
            instance,
            space,
            organization,
            may: InSpace::default(),
        })
    }

    async fn offer(
        visitor: &Visitor,
        instance: &ServiceInstance,
    ) -> Result<Option<(Offering, Plan)>, Refused> {
        let plan = instance.relationships.service_plan.guid();
        if plan.is_empty() {
            return Ok(None);
        }
        let api = &visitor.api;
        let plan: Option<Plan> = api.find(&format!("/v3/service_plans/{plan}")).await?;
        let Some(plan) = plan else {
            return Ok(None);
        };
        let offering = plan.relationships.service_offering.guid();
        let offering: Option<Offering> = api
            .find(&format!("/v3/service_offerings/{offering}"))
            .await?;
        Ok(offering.map(|offering| (offering, plan)))
    }

    /// The name as a word of a shell command.
    pub(super) fn word(&self) -> String {
        fmt::word(&self.instance.name)
    }

    /// The page of the instance.
    pub(super) fn page(&self) -> String {
        format!("/console/services/{}", self.instance.guid)
    }

    /// Whether its broker is at work, so that other changes are refused.
    pub(super) fn is_busy(&self) -> bool {
        let operation = self.instance.last_operation.as_ref();
        operation.is_some_and(|operation| !operation.is_over())
    }
}

/// Of one instance the API takes fewer fields than of lists.
const INCLUDED: &str = "fields[space]=guid,name&fields[space.organization]=guid,name";

#[derive(serde::Deserialize)]
struct Shared {
    included: Included,
}
