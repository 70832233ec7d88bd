//! Asking for a build, inside the caller's transaction.

use serde_json::{Map, Value, json};

use crate::base::Megabytes;
use crate::base::guid::{BuildGuid, DropletGuid};
use crate::cloud_controller::access::Caller;
use crate::cloud_controller::actions::app_usage_events::Staging;
use crate::cloud_controller::actions::app_usage_events::WrittenBy;
use crate::cloud_controller::error::{Error, Kind, Result};
use crate::cloud_controller::flows::desired::Snapshots;
use crate::cloud_controller::metadata::{MetadataChange, ResourceType};
use crate::cloud_controller::model::apps::{App, LifecycleType};
use crate::cloud_controller::model::audit_events::{Place, Recorder, Target};
use crate::cloud_controller::model::builds::{
    Build, BuildError, BuildState, CnbInput, DockerInput, NewBuildInputs,
};
use crate::cloud_controller::model::packages::PackageState;
use crate::cloud_controller::model::packages::{Package, PackageKind};
use crate::cloud_controller::model::quotas::Needs;
use crate::cloud_controller::model::stacks::StackUse;
use crate::cloud_controller::payload::builds::CreateBuild;
use crate::cloud_controller::permits::{MayAdminister, MaySupport, MayWrite};
use crate::cloud_controller::{actions, flows, model};
use crate::db::{ReadTx, WriteTx};
use crate::registry::upstream::ImageReference;
use crate::registry::{self, Action, RepositoryName};
use crate::staging::HostCredentials;

/// Staging gets at least this much.
const LEAST_MEMORY: i64 = 1024;
const LEAST_DISK: i64 = 4096;
/// More disk than this is refused.
const MOST_DISK: i64 = 6144;

/// What is to be built, and how.
pub(crate) struct NewBuild<'a> {
    pub app: &'a App,
    pub package: &'a Package,
    pub wanted: CreateBuild,
    /// The platform's own image registry.
    pub registry: &'a registry::Names,
}

/// What a request gives to its build alone.
struct OfBuild {
    environment: Map<String, Value>,
    credentials: Option<HostCredentials>,
}

/// Makes a build of a package; gives a warning with it when there is one.
pub(crate) fn create(
    tx: &WriteTx<'_>,
    may: &MaySupport,
    caller: &Caller,
    snapshots: &Snapshots,
    new: NewBuild<'_>,
) -> Result<(Build, Option<String>)> {
    let NewBuild {
        app,
        package,
        wanted,
        registry,
    } = new;
    if let PackageKind::Docker { .. } = package.kind {
        actions::feature_flags::require(tx, caller, "diego_docker")?;
    }
    if app.lifecycle.kind == LifecycleType::Cnb {
        actions::feature_flags::require(tx, caller, "diego_cnb")?;
    }
    let build = assemble(tx, may, caller, app, package, &wanted)?;
    let warning = match &package.kind {
        PackageKind::Docker { image, .. } => {
            check_own_image(tx, caller, registry, image)?;
            insert_of_image(tx, snapshots, app, package, &build)?;
            None
        }
        PackageKind::Bits(_) => {
            for name in &build.buildpacks {
                if let Some(image) = name.strip_prefix("docker://") {
                    check_own_image(tx, caller, registry, image)?;
                }
            }
            let lifecycle = wanted.lifecycle.as_ref();
            let own = OfBuild {
                environment: wanted.environment,
                credentials: lifecycle.and_then(|lifecycle| lifecycle.credentials.clone()),
            };
            insert_of_bits(tx, snapshots, app, package, &build, own)?
        }
    };
    wanted
        .metadata
        .store(tx, ResourceType::Build, build.guid.as_str())?;
    let first = build.buildpacks.first().map(String::as_str);
    let by = WrittenBy {
        now: may.now,
        guids: &may.guids,
    };
    actions::app_usage_events::of_build(tx, by, &app.guid, Staging::Started, first)?;
    let data = json!({ "build_guid": build.guid, "package_guid": package.guid });
    actions::apps::record(tx, may, "audit.app.build.create", app, &data)?;
    Ok((build, warning))
}

/// Stores the build of an image. The package's password moves into the build, which forgets it when
/// it ends.
fn insert_of_image(
    tx: &WriteTx<'_>,
    snapshots: &Snapshots,
    app: &App,
    package: &Package,
    build: &Build,
) -> Result<()> {
    let PackageKind::Docker { image, username } = &package.kind else {
        return Err(Error::internal("a package without an image"));
    };
    check_free(tx, app)?;
    check_quotas(tx, app, build)?;
    check_disk(build)?;
    let vault = snapshots.vault();
    let sealed = model::packages::take_password(tx, &package.guid)?;
    let password = sealed.map(|sealed| vault.decrypt(&sealed)).transpose()?;
    let input = DockerInput {
        image: image.clone(),
        username: username.clone(),
        password: password.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
    };
    let inputs = NewBuildInputs {
        package: None,
        environment: &vault.encrypt(&serde_json::to_vec(&input)?)?,
        buildpacks: &[],
    };
    model::builds::insert(tx, build, &inputs)
}

/// Stores the build of uploaded bits; gives a warning about the stack when there is one.
fn insert_of_bits(
    tx: &WriteTx<'_>,
    snapshots: &Snapshots,
    app: &App,
    package: &Package,
    build: &Build,
    own: OfBuild,
) -> Result<Option<String>> {
    let stack = build.stack.as_deref().unwrap_or_default();
    let kind = app.lifecycle.kind;
    let chosen = actions::buildpack_choices::choose(tx, kind, &build.buildpacks, stack)?;
    let warning = stack_warning(tx, app, stack)?;
    check_free(tx, app)?;
    let bits = match &package.kind {
        PackageKind::Bits(Some(bits)) if package.state == PackageState::Ready => &bits.digest,
        _ => {
            return Err(Error::bad_request(
                "Cannot stage package whose state is not ready.",
            ));
        }
    };
    check_quotas(tx, app, build)?;
    let buildpacks = chosen.usable()?;
    check_disk(build)?;
    let environment = environment(tx, snapshots, app, build, own.environment)?;
    let environment = if kind == LifecycleType::Cnb {
        // Those of the app stay for a build that brings none.
        let credentials = match own.credentials {
            Some(own) => Some(own),
            None => kept_credentials(tx, snapshots, app)?,
        };
        serde_json::to_vec(&CnbInput {
            environment,
            credentials: credentials.unwrap_or_default(),
        })?
    } else {
        serde_json::to_vec(&environment)?
    };
    let inputs = NewBuildInputs {
        package: Some(bits),
        environment: &snapshots.vault().encrypt(&environment)?,
        buildpacks: &buildpacks,
    };
    model::builds::insert(tx, build, &inputs)?;
    Ok(warning)
}

/// Takes the credentials of the app's buildpacks: they are used once.
fn kept_credentials(
    tx: &WriteTx<'_>,
    snapshots: &Snapshots,
    app: &App,
) -> Result<Option<HostCredentials>> {
    let Some(sealed) = model::apps::take_credentials(tx, &app.guid)? else {
        return Ok(None);
    };
    Ok(serde_json::from_slice(
        &snapshots.vault().decrypt(&sealed)?,
    )?)
}

fn check_quotas(tx: &ReadTx<'_>, app: &App, build: &Build) -> Result<()> {
    let needs = Needs {
        memory: build.memory.0,
        log_rate: build.log_rate_limit,
    };
    model::quotas::check_staging(tx, app, needs)
}

/// 422 for an image of the platform's own registry that the caller may not pull.
fn check_own_image(
    tx: &ReadTx<'_>,
    caller: &Caller,
    registry: &registry::Names,
    image: &str,
) -> Result<()> {
    let Ok(reference) = ImageReference::parse(image) else {
        // Staging says what is wrong with it.
        return Ok(());
    };
    let reference = registry.origin_of(reference);
    let name = RepositoryName::parse(reference.repository());
    let (true, Some(name)) = (registry.is_own(&reference), name) else {
        return Ok(());
    };
    actions::repositories::check(tx, caller, &name, Action::Pull).map_err(|error| {
        error.told_as(|| Error::unprocessable(format!("You may not pull the image {image}.")))
    })
}

/// 422 while another build of the app is under way.
fn check_free(tx: &ReadTx<'_>, app: &App) -> Result<()> {
    if model::builds::is_staging(tx, &app.guid)? {
        return Err(model::builds::staging_in_progress());
    }
    Ok(())
}

/// What is to be said about the stack; 422 when its state forbids staging.
fn stack_warning(tx: &ReadTx<'_>, app: &App, stack: &str) -> Result<Option<String>> {
    let Some(stack) = model::stacks::find_named(tx, stack)? else {
        return Ok(None);
    };
    let usage = if model::apps::has_builds(tx, &app.guid)? {
        StackUse::Restaging
    } else {
        StackUse::NewApp
    };
    model::stacks::verdict(&stack, usage)
        .map_err(|text| Error::new(Kind::StackValidationFailed, text))
}

/// 422 when staging takes more disk than it may.
fn check_disk(build: &Build) -> Result<()> {
    if build.disk.0 > MOST_DISK {
        return Err(Error::unprocessable("disk limit exceeded"));
    }
    Ok(())
}

/// Changes metadata.
pub(crate) fn update(
    tx: &WriteTx<'_>,
    may: &MayWrite,
    build: &Build,
    metadata: &MetadataChange,
) -> Result<()> {
    may.covers(&build.space_guid)?;
    metadata.store(tx, ResourceType::Build, build.guid.as_str())
}

/// Ends a build that is being staged, as an outside stager would.
pub(crate) fn fail(tx: &WriteTx<'_>, may: &MayAdminister, build: &Build, why: &str) -> Result<()> {
    if build.state != BuildState::Staging {
        return Err(Error::unprocessable(
            "Only a build in state STAGING can fail.",
        ));
    }
    let error = BuildError {
        id: "StagerError",
        message: &format!("Stager error: {why}"),
    };
    model::builds::set_failed(tx, &build.guid, error, may.now)?;
    actions::app_usage_events::of_build(
        tx,
        WrittenBy {
            now: may.now,
            guids: &may.guids,
        },
        &build.app_guid,
        Staging::Stopped,
        None,
    )?;
    let target = Target {
        guid: build.app_guid.as_str(),
        kind: "app",
        name: &build.app_name,
    };
    let data = json!({
        "build_guid": build.guid,
        "package_guid": build.package_guid,
        "error_id": error.id,
        "error_message": why,
    });
    let place = Place::space(&build.space_guid);
    may.record(tx, "audit.app.build.failed", &target, place, &data)
}

fn assemble(
    tx: &ReadTx<'_>,
    recorder: &Recorder,
    caller: &Caller,
    app: &App,
    package: &Package,
    wanted: &CreateBuild,
) -> Result<Build> {
    let (memory, disk, log_rate_limit) =
        model::builds::web_limits(tx, &app.guid)?.unwrap_or((LEAST_MEMORY, LEAST_DISK, -1));
    let disk = wanted.disk.unwrap_or(disk).max(LEAST_DISK);
    let lifecycle = wanted.lifecycle.as_ref();
    if lifecycle.is_some_and(|lifecycle| lifecycle.kind != app.lifecycle.kind.as_str()) {
        return Err(Error::unprocessable("Lifecycle type cannot be changed"));
    }
    let buildpacks = lifecycle.and_then(|lifecycle| lifecycle.buildpacks.clone());
    let stack = lifecycle.and_then(|lifecycle| lifecycle.stack.clone());
    Ok(Build {
        guid: BuildGuid::generate(&recorder.guids),
        app_guid: app.guid.clone(),
        package_guid: package.guid.clone(),
        droplet_guid: DropletGuid::generate(&recorder.guids),
        state: BuildState::Staging,
        error_id: None,
        error: None,
        lifecycle_type: app.lifecycle.kind.as_str().to_owned(),
        buildpacks: buildpacks.unwrap_or_else(|| app.lifecycle.buildpacks.clone()),
        stack: stack.or_else(|| app.lifecycle.stack.clone()),
        memory: Megabytes(wanted.memory.unwrap_or(memory).max(LEAST_MEMORY)),
        disk: Megabytes(disk),
        log_rate_limit: wanted.log_rate_limit.unwrap_or(log_rate_limit),
        created_by: [
            Some(caller.guid.to_string()),
            Some(caller.name.clone()),
            Some(caller.email.clone()).filter(|email| !email.is_empty()),
        ],
        created_at: recorder.now,
        updated_at: recorder.now,
        space_guid: app.space_guid.clone(),
        app_name: app.name.clone(),
    })
}

/// Proxy of the machine < staging group < app < build < what nobody may override (runtime contract §4.2).
fn environment(
    tx: &ReadTx<'_>,
    snapshots: &Snapshots,
    app: &App,
    build: &Build,
    of_build: Map<String, Value>,
) -> Result<Vec<(String, String)>> {
    let vault = snapshots.vault();
    let (group, _) = model::environment_variable_groups::load(tx, vault, "staging")?;
    let proxy = snapshots.proxy_variables.iter();
    let mut all: Map<String, Value> = proxy
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    all.extend(group);
    for (name, value) in model::apps::environment(tx, vault, &app.guid)? {
        all.insert(name, value);
    }
    all.extend(of_build);
    let mut application = snapshots.vcap_application_of_app(tx, app)?;
    application["limits"] = json!({ "fds": 16384, "mem": build.memory, "disk": build.disk });
    application["version"] = json!(build.guid);
    application["application_version"] = json!(build.guid);
    all.insert(
        "VCAP_APPLICATION".to_owned(),
        json!(application.to_string()),
    );
    for (name, value) in flows::desired::services::variables(tx, vault, app)? {
        all.insert(name, json!(value));
    }
    all.insert(
        "MEMORY_LIMIT".to_owned(),
        json!(format!("{}m", build.memory.0)),
    );
    if let Some(stack) = &build.stack
        && app.lifecycle.kind == LifecycleType::Buildpack
    {
        all.insert("CF_STACK".to_owned(), json!(stack));
    }
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(all
        .into_iter()
        .map(|(name, value)| (name, text(value)))
        .collect())
}
