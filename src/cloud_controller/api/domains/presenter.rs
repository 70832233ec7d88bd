//! JSON of a domain.

use serde_json::{Value, json};

use crate::base::guid::OrganizationGuid;
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::error::Result;
use crate::cloud_controller::metadata::{Metadata, ResourceType};
use crate::cloud_controller::model;
use crate::cloud_controller::model::domains::Domain;
use crate::cloud_controller::v3::Urls;
use crate::db::ReadTx;

/// With its metadata and the organizations it is shared with, as far as the caller sees them.
pub(crate) fn present_from(
    tx: &ReadTx<'_>,
    caller: &Caller,
    domain: &Domain,
    urls: &Urls,
) -> Result<Value> {
    let metadata = Metadata::load(tx, ResourceType::Domain, domain.guid.as_str())?;
    let shared = model::domains::shared_with(tx, caller, &domain.guid)?;
    Ok(present(domain, &metadata, &shared, urls))
}

/// Many at once.
pub(crate) fn present_all(
    tx: &ReadTx<'_>,
    caller: &Caller,
    domains: &[Domain],
    urls: &Urls,
) -> Result<Vec<Value>> {
    let guids = domains.iter().map(|domain| domain.guid.as_str());
    let metadata = Metadata::of_all(tx, ResourceType::Domain, guids)?;
    let shared = model::domains::shared_with_all(tx, caller, domains)?;
    let shown = domains.iter().map(|domain| {
        let shared = shared.get(&domain.guid).map_or(&[][..], Vec::as_slice);
        present(domain, metadata.of(domain.guid.as_str()), shared, urls)
    });
    Ok(shown.collect())
}

fn present(
    domain: &Domain,
    metadata: &Metadata,
    shared: &[OrganizationGuid],
    urls: &Urls,
) -> Value {
    let path = format!("/v3/domains/{}", domain.guid);
    let mut links = json!({
        "self": urls.link(&path),
        "route_reservations": urls.link(&format!("{path}/route_reservations")),
    });
    if let Some(organization) = &domain.organization_guid {
        links["organization"] = urls.link(&format!("/v3/organizations/{organization}"));
        links["shared_organizations"] =
            urls.link(&format!("{path}/relationships/shared_organizations"));
    }
    if let Some(group) = &domain.router_group_guid {
        links["router_group"] = urls.link(&format!("/routing/v1/router_groups/{group}"));
    }
    json!({
        "guid": domain.guid,
        "created_at": domain.created_at,
        "updated_at": domain.updated_at,
        "name": domain.name,
        "internal": domain.internal,
        "router_group": domain.router_group_guid.as_ref().map(|guid| json!({ "guid": guid })),
        "supported_protocols": [domain.protocol().as_str()],
        "relationships": {
            "organization": { "data": domain.organization_guid.as_ref().map(|guid| json!({ "guid": guid })) },
            "shared_organizations": { "data": present_guids(shared) },
        },
        "metadata": metadata.present(),
        "links": links,
    })
}

/// `[{"guid": …}, …]`.
pub(super) fn present_guids(guids: &[OrganizationGuid]) -> Value {
    guids.iter().map(|guid| json!({ "guid": guid })).collect()
}
