"""What happens to apps: push, restart, scale; beside the same containers made by the docker CLI."""

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import containers
import machine
from cloud import App, Platform
from report import Row, judge

PUSHES = 5
RESTARTS = 3
SCALES = 2
INSTANCES = 10
SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "static"


def sample(mark: str) -> Mapping[str, str]:
    """The files of the static sample, different for every mark."""
    files = {
        path.relative_to(SAMPLE).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(SAMPLE.rglob("*"))
        if path.is_file()
    }
    return {**files, "public/mark.txt": f"{mark}\n"}


def push_sample(platform: Platform, number: int) -> App:
    """Pushes the static sample as an app of its own."""
    name = f"a{number}"
    return platform.push(name, sample(name))


def warm_push(
    platform: Platform, cold: App, apps: Callable[[int], list[App]], temp: Path
) -> list[Row]:
    """Pushes by phase, in turns with the docker CLI; the first push, which fills caches, is apart."""
    twin = containers.Twin.of(cold, temp)
    pushes, floors = [], []
    for number in range(PUSHES):
        pushes.append(apps(number + 2)[-1])
        try:
            floors.append(twin.start_one())
        finally:
            twin.remove()
    total = statistics.median(app.total for app in pushes)
    start = statistics.median(app.start for app in pushes)
    floor = statistics.median(floors)
    phases = ", ".join(
        f"{phase} {statistics.median(getattr(app, phase) for app in pushes):.2f}"
        for phase in ("upload", "staging", "start")
    )
    samples = {
        "cold": vars(cold) | {"total": cold.total},
        "warm": [vars(app) | {"total": app.total} for app in pushes],
        "docker_create_start_answer": floors,
    }
    return [
        Row(
            "push static, warm: upload → first 200",
            f"{total:.2f} s ({phases})",
            f"{total / floor:.2f} × docker create + start + poll ({floor:.2f} s)",
            "≤ 2.5 s",
            judge(total <= 2.5),
            samples,
        ),
        Row(
            "  of it start → first 200",
            f"{start:.2f} s",
            f"{start / floor:.2f} × docker create + start + poll",
            "≤ 1.3 ×",
            judge(start <= 1.3 * floor),
        ),
    ]


def restart(platform: Platform, app: App) -> Row:
    """actions/restart until a new instance runs and answers."""
    seconds = []
    for _ in range(RESTARTS):
        old = platform.running(app)[0]["instance_guid"]
        begun = time.monotonic()
        platform.api("POST", f"/v3/apps/{app.guid}/actions/restart")
        machine.wait_until(
            "a new instance runs",
            lambda: any(each["instance_guid"] != old for each in platform.running(app)),
        )
        machine.wait_until("it answers", lambda: platform.status_of(app.host) == 200)
        seconds.append(time.monotonic() - begun)
    median = statistics.median(seconds)
    return Row(
        "restart → new instance answers",
        f"{median:.2f} s (slowest of {RESTARTS}: {max(seconds):.2f})",
        budget="≤ 2 s",
        verdict=judge(median <= 2),
        samples={"seconds": seconds},
    )


def scale(platform: Platform, app: App, temp: Path) -> Row:
    """1 → 10 instances until all run, in turns with ten `docker run` of the same thing."""
    twin = containers.Twin.of(app, temp)
    seconds, returned, answered = [], [], []
    for _ in range(SCALES):
        seconds.append(_scale_to(platform, app, INSTANCES))
        _scale_to(platform, app, 1)
        machine.wait_until("the others are gone", lambda: len(containers.of_app(app)) == 1)
        try:
            back, all_answer = twin.start_many(INSTANCES)
        finally:
            twin.remove()
        returned.append(back)
        answered.append(all_answer)
    mine, peer = statistics.median(seconds), statistics.median(answered)
    bare = statistics.median(returned)
    return Row(
        f"scale 1 → {INSTANCES}, all RUNNING",
        f"{mine:.2f} s",
        f"{mine / peer:.2f} × {INSTANCES} docker run until they answer ({peer:.2f} s), "
        f"{mine / bare:.2f} × until they return",
        "≤ 1.2 ×",
        judge(mine <= 1.2 * peer),
        {"seconds": seconds, "docker_run_answers": answered, "docker_run_returned": returned},
    )


def _scale_to(platform: Platform, app: App, instances: int) -> float:
    begun = time.monotonic()
    path = f"/v3/processes/{app.guid}/actions/scale"
    platform.api("POST", path, {"instances": instances})
    machine.wait_until(
        f"{instances} instances run", lambda: len(platform.running(app)) == instances, every=0.02
    )
    return time.monotonic() - begun
