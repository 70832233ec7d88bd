"""Data services: from the request for one to credentials of a service that works."""

import statistics
import time

import machine
from cloud import Platform
from report import NotMeasured, Row, judge

ROUNDS = 3
# Seconds; the image is there.
BUDGETS = {"redis": 2.0, "postgresql": 5.0}
IMAGE_LIMIT = 900


def creation(platform: Platform) -> list[Row]:
    """The first one of an offering may build its image and does not count."""
    return [_creation(platform, offering, budget) for offering, budget in BUDGETS.items()]


def _creation(platform: Platform, offering: str, budget: float) -> Row:
    path = f"/v3/service_plans?service_offering_names={offering}&names=small"
    plan = platform.api("GET", path)["resources"][0]["guid"]
    _create(platform, plan, f"bench-{offering}-image")
    seconds = []
    for number in range(ROUNDS):
        begun = time.monotonic()
        instance = _create(platform, plan, f"bench-{offering}-{number}")
        _key(platform, instance)
        seconds.append(time.monotonic() - begun)
    median = statistics.median(seconds)
    return Row(
        f"create-service {offering}, to credentials of a service that works",
        f"{median:.2f} s",
        budget=f"≤ {budget} s",
        verdict=judge(median <= budget),
        samples={"seconds": seconds},
    )


def _create(platform: Platform, plan: str, name: str) -> str:
    platform.api(
        "POST",
        "/v3/service_instances",
        {
            "type": "managed",
            "name": name,
            "relationships": {
                "space": {"data": {"guid": platform.space()}},
                "service_plan": {"data": {"guid": plan}},
            },
        },
    )
    guid = str(platform.api("GET", f"/v3/service_instances?names={name}")["resources"][0]["guid"])
    _wait(platform, f"/v3/service_instances/{guid}")
    return guid


def _key(platform: Platform, instance: str) -> None:
    platform.api(
        "POST",
        "/v3/service_credential_bindings",
        {
            "type": "key",
            "name": "bench",
            "relationships": {"service_instance": {"data": {"guid": instance}}},
        },
    )
    path = f"/v3/service_credential_bindings?type=key&service_instance_guids={instance}"
    guid = platform.api("GET", path)["resources"][0]["guid"]
    _wait(platform, f"/v3/service_credential_bindings/{guid}")


def _wait(platform: Platform, path: str) -> None:
    def done() -> bool:
        operation = platform.api("GET", path)["last_operation"]
        if operation["state"] == "failed":
            raise NotMeasured(operation["description"])
        return bool(operation["state"] == "succeeded")

    machine.wait_until(f"{path} is there", done, limit=IMAGE_LIMIT, every=0.01)
