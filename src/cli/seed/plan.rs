//! What has to change for a file: a pure comparison of the file with what the platform has.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};
use serde_json::{Map, Value};

use super::super::deploy::plan as services;
use super::file::{App, File, Org, Provided, Role, Space, User};
use super::quota::Quota;

/// What the platform has of what a file names; names are in lower case.
#[derive(Debug, Default)]
pub(in crate::cli) struct Found {
    pub(in crate::cli) flags: BTreeMap<String, bool>,
    pub(in crate::cli) quotas: BTreeMap<String, Value>,
    pub(in crate::cli) users: BTreeSet<String>,
    pub(in crate::cli) orgs: BTreeMap<String, FoundOrg>,
}

/// An organization.
#[derive(Debug, Default)]
pub(in crate::cli) struct FoundOrg {
    /// The name of its quota.
    pub(in crate::cli) quota: Option<String>,
    /// Kinds of roles, and who has them.
    pub(in crate::cli) roles: BTreeSet<(String, String)>,
    pub(in crate::cli) space_quotas: BTreeMap<String, Value>,
    pub(in crate::cli) spaces: BTreeMap<String, FoundSpace>,
}

/// A space.
#[derive(Debug, Default)]
pub(in crate::cli) struct FoundSpace {
    pub(in crate::cli) quota: Option<String>,
    pub(in crate::cli) roles: BTreeSet<(String, String)>,
    /// By their exact names.
    pub(in crate::cli) managed: BTreeMap<String, services::Found>,
    pub(in crate::cli) provided: BTreeMap<String, FoundProvided>,
    pub(in crate::cli) apps: BTreeMap<String, FoundApp>,
}

/// A user-provided service.
#[derive(Debug, Default)]
pub(in crate::cli) struct FoundProvided {
    pub(in crate::cli) credentials: Map<String, Value>,
    pub(in crate::cli) settings: Map<String, Value>,
}

/// An app: what differs from the file.
#[derive(Debug, Default)]
pub(in crate::cli) struct FoundApp {
    pub(in crate::cli) differences: Vec<String>,
}

/// One thing of the file and what has to be done for it.
#[derive(Debug)]
pub(in crate::cli) struct Item<'a> {
    pub(in crate::cli) thing: Thing<'a>,
    pub(in crate::cli) change: Change,
}

/// What has to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Change {
    Create,
    /// What differs.
    Update(Vec<String>),
    Nothing,
}

/// A thing of the file with the place where it is.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) enum Thing<'a> {
    Flag(&'a str, bool),
    Quota(&'a Quota),
    User(&'a User),
    Org(&'a Org),
    OrgRole(&'a Org, &'a Role),
    SpaceQuota(&'a Org, &'a Quota),
    Space(&'a Org, &'a Space),
    SpaceRole(&'a Org, &'a Space, &'a Role),
    Managed(&'a Org, &'a Space, &'a services::Wanted),
    Provided(&'a Org, &'a Space, &'a Provided),
    App(&'a Org, &'a Space, &'a App),
}

impl Thing<'_> {
    /// Its kind and its name, for people.
    pub(in crate::cli) fn shown(&self) -> (&'static str, String) {
        let role = |role: &Role| format!("{}: {}", role.kind.replace('_', " "), role.user);
        match self {
            Self::Flag(name, _) => ("feature flag", (*name).to_owned()),
            Self::Quota(quota) => ("quota", quota.name.clone()),
            Self::User(user) => ("user", user.name.clone()),
            Self::Org(org) => ("org", org.name.clone()),
            Self::OrgRole(org, one) => ("role", format!("{}, {}", org.name, role(one))),
            Self::SpaceQuota(org, quota) => ("space quota", format!("{}/{}", org.name, quota.name)),
            Self::Space(org, space) => ("space", format!("{}/{}", org.name, space.name)),
            Self::SpaceRole(org, space, one) => (
                "role",
                format!("{}/{}, {}", org.name, space.name, role(one)),
            ),
            Self::Managed(org, space, one) => (
                "service",
                format!("{}/{}/{}", org.name, space.name, one.name),
            ),
            Self::Provided(org, space, one) => (
                "service",
                format!("{}/{}/{}", org.name, space.name, one.name),
            ),
            Self::App(org, space, app) => {
                ("app", format!("{}/{}/{}", org.name, space.name, app.name))
            }
        }
    }
}

/// The lower case name by which things are found.
pub(in crate::cli) fn key(name: &str) -> String {
    name.to_lowercase()
}

/// Every thing of the file, in the order in which it is done.
pub(in crate::cli) fn plan<'a>(file: &'a File, found: &Found) -> anyhow::Result<Vec<Item<'a>>> {
    let mut items = Vec::new();
    for (name, on) in &file.flags {
        let Some(is) = found.flags.get(name) else {
            bail!("the platform has no feature flag {name}");
        };
        let differs = (is != on).then(|| format!("{is} -> {on}"));
        items.push(item(Thing::Flag(name, *on), differs.into_iter().collect()));
    }
    for quota in &file.quotas {
        items.push(Item {
            thing: Thing::Quota(quota),
            change: of_quota(quota, found.quotas.get(&key(&quota.name))),
        });
    }
    for user in &file.users {
        let is_there = found.users.contains(&key(&user.name));
        if !is_there && user.password.is_none() {
            let (line, name) = (user.line, &user.name);
            bail!("line {line}: the new user {name} needs a password or password_env");
        }
        items.push(there(Thing::User(user), is_there));
    }
    for org in &file.orgs {
        of_org(file, found, org, &mut items)?;
    }
    Ok(items)
}

fn of_org<'a>(
    file: &'a File,
    all: &Found,
    org: &'a Org,
    items: &mut Vec<Item<'a>>,
) -> anyhow::Result<()> {
    let found = all.orgs.get(&key(&org.name));
    if let Some(quota) = &org.quota {
        let is_known = all.quotas.contains_key(&key(quota))
            || file.quotas.iter().any(|one| key(&one.name) == key(quota));
        if !is_known {
            bail!("line {}: there is no quota {quota}", org.line);
        }
    }
    let is = found.map(|found| found.quota.as_deref());
    items.push(placed(Thing::Org(org), is, org.quota.as_deref()));
    for role in &org.roles {
        known(file, all, role)?;
        let has = found.is_some_and(|found| has(&found.roles, role));
        items.push(there(Thing::OrgRole(org, role), has));
    }
    for quota in &org.space_quotas {
        let is = found.and_then(|found| found.space_quotas.get(&key(&quota.name)));
        items.push(Item {
            thing: Thing::SpaceQuota(org, quota),
            change: of_quota(quota, is),
        });
    }
    for space in &org.spaces {
        if let Some(quota) = &space.quota {
            let is_known = { org.space_quotas.iter() }.any(|one| key(&one.name) == key(quota))
                || found.is_some_and(|found| found.space_quotas.contains_key(&key(quota)));
            if !is_known {
                bail!(
                    "line {}: there is no space quota {quota} in the org {}",
                    space.line,
                    org.name
                );
            }
        }
        let is = found.and_then(|found| found.spaces.get(&key(&space.name)));
        let is_quota = is.map(|is| is.quota.as_deref());
        items.push(placed(
            Thing::Space(org, space),
            is_quota,
            space.quota.as_deref(),
        ));
        for role in &space.roles {
            known(file, all, role)?;
            let has = is.is_some_and(|is| has(&is.roles, role));
            items.push(there(Thing::SpaceRole(org, space, role), has));
        }
        in_space(org, space, is.unwrap_or(&FoundSpace::default()), items)?;
    }
    Ok(())
}

fn in_space<'a>(
    org: &'a Org,
    space: &'a Space,
    found: &FoundSpace,
    items: &mut Vec<Item<'a>>,
) -> anyhow::Result<()> {
    let changes = services::plan(&space.managed, &found.managed, false)
        .with_context(|| format!("{}/{}", org.name, space.name))?;
    for (wanted, (_, change)) in space.managed.iter().zip(changes) {
        if found.provided.contains_key(&wanted.name) {
            bail!(
                "the service {} is user-provided, not of an offering",
                wanted.name
            );
        }
        let change = match change {
            services::Change::Create => Change::Create,
            services::Change::Update {
                parameters, plan, ..
            } => {
                let keys = parameters.into_iter().map(|(key, _)| key);
                Change::Update(
                    keys.chain(plan.map(|plan| format!("plan -> {plan}")))
                        .collect(),
                )
            }
            services::Change::Nothing | services::Change::Delete { .. } => Change::Nothing,
        };
        let thing = Thing::Managed(org, space, wanted);
        items.push(Item { thing, change });
    }
    for wanted in &space.provided {
        if found.managed.contains_key(&wanted.name) {
            bail!(
                "the service {} is of an offering, not user-provided",
                wanted.name
            );
        }
        let thing = Thing::Provided(org, space, wanted);
        items.push(match found.provided.get(&wanted.name) {
            None => there(thing, false),
            Some(is) => item(thing, of_provided(wanted, is)),
        });
    }
    for app in &space.apps {
        let thing = Thing::App(org, space, app);
        items.push(match found.apps.get(&app.name) {
            None => there(thing, false),
            Some(is) => item(thing, is.differences.clone()),
        });
    }
    Ok(())
}

fn of_provided(wanted: &Provided, found: &FoundProvided) -> Vec<String> {
    let credentials = wanted.credentials.as_ref();
    let other = credentials.is_some_and(|wanted| *wanted != found.credentials);
    let settings = { wanted.settings.iter() }
        .filter(|(name, value)| found.settings.get(*name) != Some(*value))
        .map(|(name, _)| name.clone());
    other
        .then(|| "credentials".to_owned())
        .into_iter()
        .chain(settings)
        .collect()
}

fn of_quota(wanted: &Quota, found: Option<&Value>) -> Change {
    found.map_or(Change::Create, |found| differing(wanted.differences(found)))
}

/// `is` is the quota of one that exists.
fn placed<'a>(thing: Thing<'a>, is: Option<Option<&str>>, wanted: Option<&str>) -> Item<'a> {
    let Some(is) = is else {
        return there(thing, false);
    };
    let differs = wanted.filter(|wanted| is.map(key) != Some(key(wanted)));
    let text = differs.map(|wanted| format!("quota: {} -> {wanted}", is.unwrap_or("none")));
    item(thing, text.into_iter().collect())
}

fn known(file: &File, found: &Found, role: &Role) -> anyhow::Result<()> {
    let name = key(&role.user);
    let is_known =
        found.users.contains(&name) || file.users.iter().any(|user| key(&user.name) == name);
    if !is_known {
        bail!(
            "line {}: the user {} is neither on the platform nor among users",
            role.line,
            role.user
        );
    }
    Ok(())
}

fn has(roles: &BTreeSet<(String, String)>, role: &Role) -> bool {
    roles.contains(&(role.kind.to_owned(), key(&role.user)))
}

fn there(thing: Thing<'_>, is_there: bool) -> Item<'_> {
    let change = if is_there {
        Change::Nothing
    } else {
        Change::Create
    };
    Item { thing, change }
}

fn item(thing: Thing<'_>, differences: Vec<String>) -> Item<'_> {
    let change = differing(differences);
    Item { thing, change }
}

fn differing(differences: Vec<String>) -> Change {
    if differences.is_empty() {
        Change::Nothing
    } else {
        Change::Update(differences)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::super::file;
    use super::*;

    const FILE: &str = "\
feature_flags: {diego_docker: true}
quotas: [{name: Small, memory: 2G}]
users: [{name: Ada, password: secret}]
orgs:
- name: Acme
  quota: small
  managers: [ada]
  spaces:
  - name: dev
    developers: [ada, bob]
    services: [{name: mail, credentials: {uri: x}}]
    apps: [{name: web, docker: {image: a}}]
";

    fn read(text: &str) -> File {
        file::read(text, Path::new(".")).expect("valid")
    }

    fn shown(items: &[Item<'_>]) -> Vec<String> {
        let text = |item: &Item<'_>| {
            let (kind, name) = item.thing.shown();
            format!("{kind} {name}: {:?}", item.change)
        };
        items.iter().map(text).collect()
    }

    fn platform() -> Found {
        Found {
            flags: BTreeMap::from([("diego_docker".to_owned(), true)]),
            users: BTreeSet::from(["bob".to_owned()]),
            ..Found::default()
        }
    }

    #[test]
    fn everything_is_made_in_order_on_an_empty_platform() {
        let file = read(FILE);
        let items = plan(&file, &platform()).expect("fits");
        assert_eq!(
            shown(&items),
            [
                "feature flag diego_docker: Nothing",
                "quota Small: Create",
                "user Ada: Create",
                "org Acme: Create",
                "role Acme, organization manager: ada: Create",
                "space Acme/dev: Create",
                "role Acme/dev, space developer: ada: Create",
                "role Acme/dev, space developer: bob: Create",
                "service Acme/dev/mail: Create",
                "app Acme/dev/web: Create",
            ]
        );
    }

    #[test]
    fn only_what_differs_is_changed() {
        let file = read(FILE);
        let mut found = platform();
        let role = |kind: &str, user: &str| (kind.to_owned(), user.to_owned());
        found.users.insert("ada".to_owned());
        let limits = json!({ "apps": { "total_memory_in_mb": 1024 } });
        found.quotas.insert("small".to_owned(), limits);
        let mut space = FoundSpace {
            roles: [role("space_developer", "ada")].into(),
            ..FoundSpace::default()
        };
        let credentials = Map::from_iter([("uri".to_owned(), json!("y"))]);
        let provided = FoundProvided {
            credentials,
            ..FoundProvided::default()
        };
        space.provided.insert("mail".to_owned(), provided);
        space.apps.insert("web".to_owned(), FoundApp::default());
        let org = FoundOrg {
            quota: Some("default".to_owned()),
            roles: [role("organization_manager", "ada")].into(),
            spaces: [("dev".to_owned(), space)].into(),
            ..FoundOrg::default()
        };
        found.orgs.insert("acme".to_owned(), org);
        let items = plan(&file, &found).expect("fits");
        let changes = shown(&items);
        let changes: Vec<&String> = changes
            .iter()
            .filter(|one| !one.ends_with("Nothing"))
            .collect();
        assert_eq!(
            changes,
            [
                "quota Small: Update([\"total_memory_in_mb: 1024 -> 2048\"])",
                "org Acme: Update([\"quota: default -> small\"])",
                "role Acme/dev, space developer: bob: Create",
                "service Acme/dev/mail: Update([\"credentials\"])",
            ]
        );
    }

    #[test]
    fn what_nobody_can_make_is_refused_before_anything_is_changed() {
        for (text, fault) in [
            (
                "feature_flags: {a: true}",
                "the platform has no feature flag a",
            ),
            (
                "users: [{name: ada}]",
                "line 1: the new user ada needs a password or password_env",
            ),
            (
                "orgs:\n- {name: a, quota: b}",
                "line 2: there is no quota b",
            ),
            (
                "orgs:\n- {name: a, managers: [eve]}",
                "line 2: the user eve is neither on the platform nor among users",
            ),
            (
                "orgs:\n- name: a\n  spaces:\n  - {name: b, quota: c}",
                "line 4: there is no space quota c in the org a",
            ),
        ] {
            let file = read(text);
            let error = plan(&file, &platform()).expect_err("refused").to_string();
            assert_eq!(error, fault);
        }
    }
}
