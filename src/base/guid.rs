//! Typed guids: one type per kind of resource, so that an app's guid cannot be passed for a
//! space's. A guid is opaque text; clients may send anything, and an unknown guid is not found.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Defines a guid type for one kind of resource.
#[macro_export]
macro_rules! guid_types {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// A new guid from the injected source.
            pub fn generate(source: &$crate::base::GuidSource) -> Self {
                Self(source.next())
            }

            /// The text as clients see it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl rusqlite::ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
                Ok(self.0.as_str().into())
            }
        }

        impl rusqlite::types::FromSql for $name {
            fn column_result(
                value: rusqlite::types::ValueRef<'_>,
            ) -> rusqlite::types::FromSqlResult<Self> {
                value.as_str().map(|text| Self(text.to_owned()))
            }
        }
    )+};
}

guid_types! {
    /// An app.
    AppGuid,
    /// A process of an app (web, worker, …).
    ProcessGuid,
    /// One running copy of a process.
    InstanceGuid,
    /// A space.
    SpaceGuid,
    /// An organization.
    OrganizationGuid,
    /// A user, as UAA names it.
    UserGuid,
    /// A package (an app's source bits or a Docker image reference).
    PackageGuid,
    /// One staging of a package.
    BuildGuid,
    /// The result of a staging.
    DropletGuid,
    /// A buildpack.
    BuildpackGuid,
    /// A stack.
    StackGuid,
    /// A route.
    RouteGuid,
    /// A route's destination.
    DestinationGuid,
    /// A domain.
    DomainGuid,
    /// A router group: the ports of TCP routes.
    RouterGroupGuid,
    /// A job of `/v3/jobs`.
    JobGuid,
    /// A task of an app.
    TaskGuid,
    /// A revision of an app.
    RevisionGuid,
    /// A deployment of an app.
    DeploymentGuid,
    /// A quota of organizations.
    OrganizationQuotaGuid,
    /// A quota of spaces.
    SpaceQuotaGuid,
    /// A security group.
    SecurityGroupGuid,
    /// An isolation segment.
    IsolationSegmentGuid,
    /// A service broker.
    ServiceBrokerGuid,
    /// A service offering of a broker.
    ServiceOfferingGuid,
    /// A plan of a service offering.
    ServicePlanGuid,
    /// A service instance.
    ServiceInstanceGuid,
    /// A service key, or what binds a service instance to an app.
    CredentialBindingGuid,
    /// What binds a service instance to a route.
    RouteBindingGuid,
}

/// Where new guids come from: random in production, counted in tests.
#[derive(Clone, Debug)]
pub struct GuidSource(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Random,
    Counted(Arc<AtomicU64>),
}

impl GuidSource {
    /// Random version 4 UUIDs.
    pub fn random() -> Self {
        Self(Kind::Random)
    }

    /// `00000000-0000-4000-8000-000000000001` and so on.
    pub fn counted() -> Self {
        Self(Kind::Counted(Arc::new(AtomicU64::new(0))))
    }

    /// The next guid.
    pub fn next(&self) -> String {
        match &self.0 {
            Kind::Random => uuid::Uuid::new_v4().to_string(),
            Kind::Counted(counter) => {
                let n = counter.fetch_add(1, Ordering::SeqCst) + 1;
                format!("00000000-0000-4000-8000-{n:012x}")
            }
        }
    }
}
