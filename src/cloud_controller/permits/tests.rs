//! Proofs are for one thing each.

use super::*;
use crate::base::guid::{AppGuid, DomainGuid, SpaceGuid};
use crate::base::{GuidSource, Timestamp};
use crate::cloud_controller::error::Kind;
use crate::cloud_controller::model::apps::{App, AppState, Features, Lifecycle, LifecycleType};
use crate::cloud_controller::model::audit_events::Actor;
use crate::cloud_controller::model::domains::Domain;
use crate::cloud_controller::model::spaces::Space;

fn recorder() -> Recorder {
    Recorder {
        actor: Actor {
            guid: "u".to_owned(),
            kind: "user",
            name: "u".to_owned(),
        },
        now: Timestamp::from_micros(0),
        guids: GuidSource::counted(),
    }
}

#[test]
fn a_proof_for_one_space_is_none_for_another() {
    let (one, other) = (SpaceGuid::from("one"), SpaceGuid::from("other"));
    let may = MayWrite::of_platform(recorder(), &one);
    assert!(may.covers(&one).is_ok());
    let refused = may.covers(&other).expect_err("another space");
    assert_eq!(refused.kind(), Kind::ServerError);
    let support: MaySupport = may.into();
    assert!(support.covers(&other).is_err());
    let mut app = App {
        guid: AppGuid::from("a"),
        name: "a".to_owned(),
        space_guid: one,
        state: AppState::Stopped,
        lifecycle: Lifecycle {
            kind: LifecycleType::Docker,
            buildpacks: Vec::new(),
            stack: None,
            has_credentials: false,
        },
        current_droplet_guid: None,
        features: Features::default(),
        created_at: Timestamp::from_micros(0),
        updated_at: Timestamp::from_micros(0),
    };
    assert!(support.covers_part(&app, &AppGuid::from("a")).is_ok());
    assert!(support.covers_part(&app, &AppGuid::from("b")).is_err());
    app.space_guid = other;
    assert!(support.covers_part(&app, &AppGuid::from("a")).is_err());
}

#[test]
fn a_proof_to_manage_one_space_or_domain_is_none_for_another() {
    let space = MayManageSpace {
        recorder: recorder(),
        space: SpaceGuid::from("one"),
    };
    assert!(space.covers(&SpaceGuid::from("one")).is_ok());
    assert!(space.covers(&SpaceGuid::from("other")).is_err());
    let domain = MayChangeDomain {
        recorder: recorder(),
        domain: DomainGuid::from("one"),
    };
    assert!(domain.covers(&DomainGuid::from("one")).is_ok());
    assert!(domain.covers(&DomainGuid::from("other")).is_err());
}

#[test]
fn a_proof_for_domains_of_one_organization_is_none_for_others_or_shared_ones() {
    let may = |owner: Option<&str>| MayCreateDomain {
        recorder: recorder(),
        owner: owner.map(OrganizationGuid::from),
    };
    let domain = |owner: Option<&str>| Domain {
        guid: DomainGuid::from("d"),
        name: "example.com".to_owned(),
        internal: false,
        router_group_guid: None,
        organization_guid: owner.map(OrganizationGuid::from),
        created_at: Timestamp::from_micros(0),
        updated_at: Timestamp::from_micros(0),
    };
    let owners = [None, Some("one"), Some("other")];
    for proven in owners {
        for owner in owners {
            let covered = may(proven).covers(&domain(owner)).is_ok();
            assert_eq!(covered, proven == owner, "{proven:?} for {owner:?}");
        }
    }
    let may = MayUnshareDomain {
        domain: DomainGuid::from("d"),
        guest: OrganizationGuid::from("one"),
    };
    let (d, one) = (DomainGuid::from("d"), OrganizationGuid::from("one"));
    assert!(may.covers(&d, &one).is_ok());
    assert!(may.covers(&d, &OrganizationGuid::from("other")).is_err());
    assert!(may.covers(&DomainGuid::from("e"), &one).is_err());
}

#[test]
fn a_right_to_suspend_is_for_one_organization_or_space() {
    let admin = || MayAdminister(recorder());
    let one = OrganizationGuid::from("one");
    let suspension = OrganizationSuspension {
        organization: one.clone(),
        suspended: true,
    };
    assert!(suspension.of(&one).expect("the same"));
    assert!(suspension.of(&OrganizationGuid::from("other")).is_err());
    let mut space = Space {
        guid: SpaceGuid::from("s"),
        name: "s".to_owned(),
        organization_guid: one.clone(),
        quota_guid: None,
        isolation_segment_guid: None,
        ssh_allowed: true,
        suspended: false,
        organization_name: "one".to_owned(),
        created_at: Timestamp::from_micros(0),
        updated_at: Timestamp::from_micros(0),
    };
    let may = admin().all_of(&one);
    let suspension = may.suspension(&space, true).expect("its own space");
    assert!(suspension.of(&space.guid).expect("the same"));
    assert!(suspension.of(&SpaceGuid::from("t")).is_err());
    space.organization_guid = OrganizationGuid::from("other");
    assert!(may.suspension(&space, true).is_err());
}

#[test]
fn a_proof_for_one_organization_is_none_for_another() {
    let may = MayAdminister(recorder()).all_of(&OrganizationGuid::from("one"));
    assert!(may.covers(&OrganizationGuid::from("one")).is_ok());
    assert!(may.covers(&OrganizationGuid::from("other")).is_err());
}
