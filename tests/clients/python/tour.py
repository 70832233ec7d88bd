"""A tour of the API with cloudfoundry-client: what a script of somebody else's would do.

Every step prints one line; the last line counts. CFLITE_TARGET and CFLITE_PASSWORD name a platform
nobody else uses.
"""

import asyncio
import io
import os
import sys
import tempfile
import threading
import time
import traceback
import zipfile
from pathlib import Path

from cloudfoundry_client.client import CloudFoundryClient
from cloudfoundry_client.errors import InvalidStatusCode
from cloudfoundry_client.v3.entities import ToManyRelationship, ToOneRelationship
from cloudfoundry_client.v3.organization_quotas import AppsQuota, RoutesQuota
from cloudfoundry_client.v3.packages import PackageType
from cloudfoundry_client.v3.routes import LoadBalancing
from cloudfoundry_client.v3.security_groups import GloballyEnabled, Rule, RuleProtocol

TARGET = os.environ["CFLITE_TARGET"]
# Staging builds the stack's images first where they are missing.
PATIENCE = 1200

client = CloudFoundryClient(TARGET, verify=False)
client.init_with_user_credentials("admin", os.environ["CFLITE_PASSWORD"])
v3 = client.v3
made = {}
steps = []


def step(function):
    """Registers a step; the name says what it shows."""
    steps.append(function)
    return function


def until(ask, good):
    """Asks until the answer is good."""
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = ask()
        if good(answer):
            return answer
        assert time.monotonic() < deadline, answer
        time.sleep(0.5)


def refused(status, call, *arguments, **named):
    """The call must be answered with this status and CF's own error."""
    try:
        answer = call(*arguments, **named)
    except InvalidStatusCode as error:
        assert error.status_code == status, error
        assert error.body["errors"][0]["title"].startswith("CF-"), error.body
        return error.body["errors"][0]["detail"]
    raise AssertionError(f"not refused: {answer}")


def done(job):
    """The job a removal gave must be complete."""
    if job is not None:
        ended = v3.jobs.wait_for_job_completion(job)
        assert ended["state"] == "COMPLETE", ended


def links_answer(entity, without=()):
    """Every link one can GET leads to something."""
    for name, link in entity["links"].items():
        if link.get("method", "GET") == "GET" and name not in without:
            assert client.get(link["href"]).status_code == 200, (name, link)


@step
def organizations():
    org = v3.organizations.create("tour", suspended=False, meta_labels={"tier": "gold"})
    assert v3.organizations.update(org["guid"], "tour", suspended=None)["name"] == "tour"
    assert v3.organizations.get_first(names="tour", label_selector="tier=gold")["guid"] == org["guid"]
    assert refused(422, v3.organizations.create, "TOUR", suspended=False) == "Organization 'TOUR' already exists."
    assert v3.organizations.get_default_domain(org["guid"])["name"]
    assert "usage_summary" in v3.organizations.get_usage_summary(org["guid"])
    assert v3.organizations.get_default_isolation_segment(org["guid"]).guid is None
    links_answer(org)
    made["org"] = org["guid"]


@step
def spaces():
    space = v3.spaces.create("dev", made["org"])
    assert v3.spaces.update(space["guid"], "development")["name"] == "development"
    assert [each["name"] for each in v3.spaces.list(organization_guids=made["org"])] == ["development"]
    assert space.organization()["guid"] == made["org"]
    links_answer(space)
    made["space"] = space["guid"]


@step
def pages():
    for number in range(5):
        v3.spaces.create(f"page-{number}", made["org"])
    found = v3.spaces.list(organization_guids=made["org"], per_page=2, order_by="-name")
    assert [each["name"] for each in found] == [f"page-{n}" for n in (4, 3, 2, 1, 0)] + ["development"]
    assert v3.spaces.len(organization_guids=made["org"]) == 6


@step
def users_and_roles():
    body = {"userName": "dora", "password": "a-good-password", "emails": [{"value": "dora"}]}
    made["user"] = client.post(f"{TARGET}/Users", json=body).json()["id"]
    v3.users.create(made["user"])
    for kind, of in (("organization_user", "org"), ("space_developer", "space")):
        relationships = {
            "user": ToOneRelationship(made["user"]),
            "organization" if of == "org" else "space": ToOneRelationship(made[of]),
        }
        role = client.post(f"{TARGET}/v3/roles", json={"type": kind, "relationships": relationships}).json()
        assert role["type"] == kind, role
    roles = list(v3.roles.list(user_guids=made["user"], include="user"))
    assert {role["type"] for role in roles} == {"organization_user", "space_developer"}
    assert roles[0].user()["username"] == "dora"
    other = CloudFoundryClient(TARGET, verify=False)
    other.init_with_user_credentials("dora", "a-good-password")
    assert [space["name"] for space in other.v3.spaces.list()] == ["development"]
    assert refused(403, other.v3.organizations.create, "mine", suspended=False)


@step
def apps():
    relationships = {"space": ToOneRelationship(made["space"])}
    app = client.post(f"{TARGET}/v3/apps", json={"name": "web", "relationships": relationships}).json()
    made["app"] = app["guid"]
    app = v3.apps.get(made["app"], include="space.organization")
    assert app.space()["name"] == "development"
    variables = f"{TARGET}/v3/apps/{made['app']}/environment_variables"
    assert client.patch(variables, json={"var": {"GREETING": "hello"}}).json()["var"]["GREETING"] == "hello"
    assert v3.apps.get_env(made["app"])["environment_variables"] == {"GREETING": "hello"}
    links_answer(app, without=("current_droplet",))
    missing = refused(404, client.get, f"{TARGET}/v3/apps/{made['app']}/droplets/current")
    assert missing == "Droplet not found", missing


@step
def packages():
    package = v3.packages.create(made["app"], PackageType.BITS)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("index.html", "hello from the tour")
        archive.writestr("Staticfile", "")
    files = {"bits": ("package.zip", content.getvalue(), "application/zip")}
    client.post(f"{TARGET}/v3/packages/{package['guid']}/upload", files=files)
    package = until(lambda: v3.packages.get(package["guid"]), lambda each: each["state"] == "READY")
    assert [each["guid"] for each in v3.apps.list_packages(made["app"])] == [package["guid"]]
    links_answer(package)
    made["package"] = package["guid"]


@step
def builds_and_droplets():
    body = {"package": {"guid": made["package"]}}
    build = client.post(f"{TARGET}/v3/builds", json=body).json()
    url = f"{TARGET}/v3/builds/{build['guid']}"
    build = until(lambda: client.get(url).json(), lambda each: each["state"] != "STAGING")
    assert build["state"] == "STAGED", build
    links_answer(build)
    made["droplet"] = build["droplet"]["guid"]
    droplet = v3.droplets.get(made["droplet"])
    assert droplet["process_types"]["web"], droplet
    assert [each["guid"] for each in v3.packages.list_droplets(made["package"])] == [made["droplet"]]
    assert [each["guid"] for each in v3.apps.list_droplets(made["app"])] == [made["droplet"]]
    links_answer(droplet)
    current = f"{TARGET}/v3/apps/{made['app']}/relationships/current_droplet"
    client.patch(current, json={"data": {"guid": made["droplet"]}})


@step
def processes():
    client.post(f"{TARGET}/v3/apps/{made['app']}/processes/web/actions/scale", json={"memory_in_mb": 64})
    started = client.post(f"{TARGET}/v3/apps/{made['app']}/actions/start").json()
    assert started["state"] == "STARTED"
    process = v3.processes.get_first(app_guids=made["app"])
    stats = f"{TARGET}/v3/processes/{process['guid']}/stats"
    until(
        lambda: client.get(stats).json()["resources"],
        lambda rows: [row["state"] for row in rows] == ["RUNNING"],
    )
    links_answer(process)
    assert v3.apps.restart(made["app"])["state"] == "STARTED"
    assert "name: web" in v3.apps.get_manifest(made["app"])


@step
def revisions():
    assert [each["version"] for each in v3.apps.list_revisions(made["app"])] == [1]
    revision = next(iter(v3.apps.list_deployed_revisions(made["app"])))
    links_answer(revision)


@step
def domains_and_routes():
    private = v3.domains.create("tour.example.com", organization=ToOneRelationship(made["org"]))
    other = v3.organizations.create("neighbour", suspended=False)
    shared = v3.domains.share_domain(private["guid"], ToManyRelationship(other["guid"]))
    assert shared.guids == [other["guid"]], shared
    v3.domains.unshare_domain(private["guid"], other["guid"])
    assert private["name"] in [each["name"] for each in v3.domains.list_domains_for_org(made["org"])]
    links_answer(private)
    route = v3.routes.create(made["space"], private["guid"], host="www", path="/tour")
    assert route["url"] == "www.tour.example.com/tour"
    updated = v3.routes.update(route["guid"], load_balancing=LoadBalancing.LEAST_CONNECTION)
    assert updated["options"] == {"loadbalancing": "least-connection"}, updated
    destinations = {"destinations": [{"app": {"guid": made["app"]}}]}
    client.post(f"{TARGET}/v3/routes/{route['guid']}/destinations", json=destinations)
    assert [each["guid"] for each in v3.apps.list_routes(made["app"])] == [route["guid"]]
    links_answer(route)
    done(v3.routes.remove(route["guid"]))
    done(v3.domains.remove(private["guid"]))
    done(v3.organizations.remove(other["guid"]))


@step
def organization_quotas():
    quota = v3.organization_quotas.create(
        "tour",
        apps_quota=AppsQuota(1024, 512, 10, 5),
        routes_quota=RoutesQuota(10, 0),
        assigned_organizations=ToManyRelationship(made["org"]),
    )
    assert v3.organizations.get(made["org"])["relationships"]["quota"]["data"]["guid"] == quota["guid"]
    assert v3.organization_quotas.update(quota["guid"], "tour-2")["name"] == "tour-2"
    links_answer(quota)
    detail = refused(
        422,
        client.post,
        f"{TARGET}/v3/apps/{made['app']}/processes/web/actions/scale",
        json={"memory_in_mb": 600},
    )
    assert "quota" in detail or "memory" in detail, detail
    default = v3.organization_quotas.get_first(names="default")
    v3.organization_quotas.apply_to_organizations(default["guid"], ToManyRelationship(made["org"]))
    done(v3.organization_quotas.remove(quota["guid"]))


@step
def security_groups():
    rules = [Rule(protocol=RuleProtocol.TCP, destination="10.0.0.0/8", ports="443")]
    group = v3.security_groups.create("tour", rules=rules, globally_enabled=GloballyEnabled(False, False))
    spaces_of = ToManyRelationship(made["space"])
    assert v3.security_groups.bind_running_security_group_to_spaces(group["guid"], spaces_of).guids
    v3.security_groups.bind_staging_security_group_to_spaces(group["guid"], ToManyRelationship(made["space"]))
    one = ToOneRelationship(made["space"])
    v3.security_groups.unbind_running_security_group_from_space(group["guid"], one)
    v3.security_groups.unbind_staging_security_group_from_space(group["guid"], one)
    assert v3.security_groups.update(group["guid"], name="tour-2")["name"] == "tour-2"
    links_answer(group)
    done(v3.security_groups.remove(group["guid"]))


@step
def isolation_segments():
    segment = v3.isolation_segments.create("tour")
    assert v3.isolation_segments.entitle_organizations(segment["guid"], made["org"]).guids == [made["org"]]
    entitled = v3.isolation_segments.list_entitled_organizations(segment["guid"])
    assert entitled.guids == [made["org"]], entitled
    v3.spaces.assign_isolation_segment(made["space"], segment["guid"])
    assert v3.spaces.get_assigned_isolation_segment(made["space"]).guid == segment["guid"]
    v3.spaces.assign_isolation_segment(made["space"], None)
    links_answer(segment)
    v3.isolation_segments.revoke_organization(segment["guid"], made["org"])
    v3.isolation_segments.remove(segment["guid"])


@step
def buildpacks_and_stacks():
    names = [each["name"] for each in v3.buildpacks.list()]
    assert "staticfile_buildpack" in names, names
    buildpack = v3.buildpacks.create("tour_buildpack", position=99, enabled=False)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tour.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("bin/detect", "#!/bin/sh\n")
        with open(path, "rb") as bits:
            url = f"{TARGET}/v3/buildpacks/{buildpack['guid']}/upload"
            client.post(url, files={"bits": ("tour.zip", bits, "application/zip")})
    until(lambda: v3.buildpacks.get(buildpack["guid"]), lambda each: each["state"] == "READY")
    done(v3.buildpacks.remove(buildpack["guid"]))
    stack = v3.stacks.get_first(names="cflinuxfs4")
    assert [each["name"] for each in v3.stacks.list_apps(stack["guid"])] == ["web"]


@step
def feature_flags():
    flag = v3.feature_flags.update("diego_docker", True)
    assert flag["enabled"] is True
    assert v3.feature_flags.get("diego_docker")["enabled"] is True
    v3.feature_flags.update("diego_docker", False)


@step
def tasks():
    done = {}
    for name, command in (("greet", "echo hello"), ("fail", "exit 3")):
        task = v3.tasks.create(made["app"], command, name=name, memory_in_mb=32, disk_in_mb=64)
        assert task["name"] == name and task["memory_in_mb"] == 32, task
        done[name] = until(
            lambda guid=task["guid"]: v3.tasks.get(guid),
            lambda each: each["state"] in ("SUCCEEDED", "FAILED"),
        )
    assert done["greet"]["state"] == "SUCCEEDED", done
    links_answer(done["greet"])
    assert done["fail"]["result"]["failure_reason"] == "APP/TASK/fail: Exited with status 3", done
    long = v3.tasks.create(made["app"], "sleep 600", name="long")
    assert v3.tasks.cancel(long["guid"])["state"] == "CANCELING"
    long = until(lambda: v3.tasks.get(long["guid"]), lambda each: each["state"] == "FAILED")
    assert long["result"]["failure_reason"] == "task was cancelled", long
    assert [each["name"] for each in v3.tasks.list(names="greet")] == ["greet"]
    assert "cannot be canceled" in refused(422, v3.tasks.cancel, long["guid"])


@step
def services_as_far_as_they_exist():
    assert list(v3.service_instances.list(space_guids=made["space"])) == []
    assert list(v3.service_credential_bindings.list(app_guids=made["app"])) == []
    refused(404, v3.tasks.get, "00000000-0000-4000-8000-000000000000")


@step
def events():
    kinds = [each["type"] for each in v3.audit_events.list(target_guids=made["app"])]
    for kind in ("audit.app.create", "audit.app.start", "audit.app.droplet.mapped"):
        assert kind in kinds, kinds
    event = v3.audit_events.get_first(types="audit.organization.create", organization_guids=made["org"])
    assert event["actor"]["name"] == "admin", event


def rename(name):
    """Changes the app, which writes a line into its log."""
    client.patch(f"{TARGET}/v3/apps/{made['app']}", json={"name": name})


@step
def logs_of_older_clients():
    recent = until(
        lambda: [each.logMessage for each in client.doppler.recent_logs(made["app"])],
        lambda lines: any(line.source_type == "API" for line in lines),
    )
    assert all(line.app_id == made["app"] for line in recent), recent
    assert {line.message_type for line in recent} <= {1, 2}, recent
    stream = client.doppler.stream_logs(made["app"])
    timer = threading.Timer(1, rename, ["renamed"])
    timer.start()
    found = next(each for each in stream if b"renamed" in each.logMessage.message)
    timer.join()
    assert found.eventType == found.LogMessage and found.origin == "cloud_controller", found
    assert found.logMessage.source_type == "API" and found.logMessage.source_instance == "0", found
    assert found.tags["app_id"] == made["app"] and found.tags["source_id"] == made["app"], found
    stream.close()


@step
def log_stream():
    async def first():
        async for part in client.rlpgateway.stream_logs(made["app"]):
            return part

    timer = threading.Timer(1, rename, ["web"])
    timer.start()
    part = asyncio.run(asyncio.wait_for(first(), 60))
    timer.join()
    assert part.startswith(b'data: {"batch":['), part


@step
def removal():
    done(v3.apps.remove(made["app"]))
    assert refused(404, v3.apps.get, made["app"]) == "App not found"
    done(v3.users.remove(made["user"]))
    client.delete(f"{TARGET}/Users/{made['user']}")
    done(v3.spaces.remove(made["space"]))
    done(v3.organizations.remove(made["org"]))
    assert v3.organizations.len(names="tour") == 0


def main():
    failed = 0
    for each in steps:
        name = each.__name__.replace("_", " ")
        try:
            each()
            print(f"ok   cloudfoundry-client: {name}", flush=True)
        except Exception as error:  # a step that fails must not hide the others
            failed += 1
            where = traceback.extract_tb(error.__traceback__)
            lines = [frame.lineno for frame in where if frame.filename == __file__]
            print(f"FAIL cloudfoundry-client: {name} (line {lines[-1]}): {error!r} {error}", flush=True)
    print(f"{len(steps) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
