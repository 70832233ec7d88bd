"""The platform itself: its file, its start, its memory, and its processor time when nothing happens."""

import statistics
import subprocess
import time
from pathlib import Path

import containers
import machine
from cloud import App, Platform
from report import Row, judge

BOOTS = 3
IDLE_SECONDS = 10.0
TRAFFIC_SECONDS = 8.0


def binary_size(cflite: str, temp: Path) -> Row:
    """The binary without symbols; a release build has none."""
    size = Path(cflite).stat().st_size
    strip = machine.find("strip")
    if strip:
        copy = temp / "stripped"
        subprocess.run([strip, "-o", str(copy), cflite], check=True, timeout=60)
        size = copy.stat().st_size
        copy.unlink()
    megabytes = size / 1e6
    return Row(
        "binary, stripped",
        f"{megabytes:.1f} MB",
        budget="≤ 30 MB",
        verdict=judge(megabytes <= 30),
        samples={"bytes": size},
    )


def boot(cflite: str, temp: Path) -> list[Row]:
    """`up` until the API answers: on nothing, and on what the first start made."""
    first: list[tuple[float, float]] = []
    second: list[tuple[float, float]] = []
    for number in range(BOOTS):
        platform = Platform(cflite, temp / f"boot-{number}")
        try:
            first.append(platform.up())
            platform.down()
            second.append(platform.up())
        finally:
            platform.remove()
    return [_boot_row("first boot, keys made", first), _boot_row("boot, empty", second)]


def _boot_row(what: str, samples: list[tuple[float, float]]) -> Row:
    answered = [sample[0] for sample in samples]
    median = statistics.median(answered)
    return Row(
        what,
        f"{median:.2f} s (slowest of {len(samples)}: {max(answered):.2f})",
        budget="≤ 1 s",
        verdict=judge(median <= 1),
        samples={"answered": answered, "command_returned": [sample[1] for sample in samples]},
    )


def idle(platform: Platform) -> list[Row]:
    """Memory and processor time of a platform without apps."""
    platform.rest()
    share = _idle_share(platform.pid)
    memory = machine.memory(platform.pid)
    return [
        Row(
            "memory, no apps",
            f"{memory['rss']:.1f} MB resident (PSS {memory['pss']:.1f})",
            budget="≤ 50 MB",
            verdict=judge(memory["rss"] <= 50),
            samples=memory,
        ),
        _idle_row("CPU, no apps", share),
    ]


def _idle_share(pid: int) -> float:
    """Percent of a core that a process uses."""
    before, begun = machine.cpu_seconds(pid), time.monotonic()
    time.sleep(IDLE_SECONDS)
    return 100 * (machine.cpu_seconds(pid) - before) / (time.monotonic() - begun)


def _idle_row(what: str, share: float) -> Row:
    return Row(
        what,
        f"{share:.1f} % of a core",
        budget="≤ 1 %",
        verdict=judge(share <= 1),
        samples={"percent": share, "seconds": IDLE_SECONDS},
    )


def many_apps(platform: Platform, apps: list[App]) -> list[Row]:
    """Memory while 20 apps answer some 50 requests a second, and what they cost at rest."""
    end = time.monotonic() + TRAFFIC_SECONDS
    resident, requests, failed = [], 0, 0
    while time.monotonic() < end:
        failed += platform.status_of(apps[requests % len(apps)].host) != 200
        requests += 1
        if requests % 50 == 0:
            resident.append(machine.memory(platform.pid)["rss"])
        time.sleep(0.02)
    memory = machine.memory(platform.pid)
    most = max([*resident, memory["rss"]])
    samples = {**memory, "resident": resident, "requests": requests, "failed": failed}
    rate = requests / TRAFFIC_SECONDS
    return [
        Row(
            f"memory, {len(apps)} apps, {rate:.0f} requests/s",
            f"{most:.1f} MB resident (PSS {memory['pss']:.1f}), {failed} failed",
            budget="≤ 80 MB",
            verdict=judge(most <= 80, failed == 0),
            samples=samples,
        ),
        _idle_row(f"CPU, {len(apps)} apps at rest", _idle_share(platform.pid)),
    ]


def boot_with_apps(platform: Platform, apps: list[App]) -> Row:
    """`up` over running apps until the API and every app answer; none may be started anew."""
    before = containers.of_platform(platform)
    api, all_apps = [], []
    for _ in range(BOOTS):
        platform.down()
        begun = time.monotonic()
        api.append(platform.up()[0])
        waiting = {app.host for app in apps}

        def all_answer() -> bool:
            waiting.difference_update(
                [host for host in waiting if platform.status_of(host) == 200]
            )
            return not waiting

        machine.wait_until(f"all {len(apps)} apps answer", all_answer, limit=30, every=0.005)
        all_apps.append(time.monotonic() - begun)
    kept = len(before & containers.of_platform(platform))
    median = statistics.median(all_apps)
    return Row(
        f"boot, {len(apps)} running apps",
        f"{median:.2f} s until all answer, API {statistics.median(api):.2f} s, "
        f"{kept} of {len(before)} containers kept",
        budget="≤ 2 s",
        verdict=judge(median <= 2, kept == len(before)),
        samples={"all_answer": all_apps, "api_answers": api, "kept": kept, "before": len(before)},
    )
