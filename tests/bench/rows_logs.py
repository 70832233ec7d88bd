"""Logs: an app that writes as fast as it can, read back line by line."""

import base64
import re
import subprocess
import time
from dataclasses import dataclass
from typing import Any

import containers
import machine
from cloud import App, Platform
from report import NotMeasured, Row, judge

LINES = 50_000
PAGE = 1000
TEXT = "line %.0f GET /orders/4711 200 12ms, as long as most lines are that apps write"
WRITE = f"""sleep 1
echo "begin $(date +%s.%N)"
seq -f '{TEXT}' 1 {LINES}
echo "end $(date +%s.%N)"
"""
APP = f'#!/usr/bin/env bash\n{WRITE}exec python3 -m http.server "$PORT"\n'
NUMBER = re.compile(r"line (\d+) GET")
NUMBERED = re.compile(r"line (\d+) ")
MARK = re.compile(r"(begin|end) ([\d.]+)$")


@dataclass
class Found:
    """The app's lines, read back."""

    numbers: list[int]
    marks: dict[str, float]

    @property
    def lost(self) -> int:
        """Lines that are not there."""
        return LINES - len(set(self.numbers))

    @property
    def out_of_order(self) -> int:
        """Lines behind a later one, and lines that come twice."""
        pairs = zip(self.numbers, self.numbers[1:])
        return sum(later <= earlier for earlier, later in pairs)


def flood(platform: Platform, mark: str) -> Row:
    """From the first line written to the last one readable through the API."""
    files = {"spam.sh": APP, "Procfile": "web: ./spam.sh\n"}
    app = platform.stage("spam", files, "binary_buildpack")
    platform.api("POST", f"/v3/apps/{app.guid}/actions/start")
    machine.wait_until("the last line is there", lambda: _ended(platform, app), every=0.02)
    readable = time.time()
    # Nothing more may come behind the last line; if it does, it is found.
    time.sleep(1)
    begun = time.monotonic()
    found = _read_all(platform, app)
    reading = time.monotonic() - begun
    floor = _docker_rate(app, mark)
    rate = LINES / (readable - found.marks["begin"])
    writing = found.marks["end"] - found.marks["begin"]
    return Row(
        f"logs, {LINES:,} lines from one app",
        f"{rate:,.0f} lines/s, {found.lost} lost, {found.out_of_order} out of order",
        f"{rate / floor:.2f} × docker logs -f ({floor:,.0f} lines/s)",
        "≥ 50 000/s, none lost, in order",
        judge(rate >= 50_000, found.lost == 0, found.out_of_order == 0),
        {
            "lines_per_second": rate,
            "app_wrote_for": writing,
            "lost": found.lost,
            "out_of_order": found.out_of_order,
            "read_back_seconds": reading,
            "docker_logs_lines_per_second": floor,
        },
    )


def read(platform: Platform, app: App, query: str) -> list[dict[str, Any]]:
    """Lines of an app's log."""
    path = f"/api/v1/read/{app.guid}?envelope_types=LOG&{query}"
    batch: list[dict[str, Any]] = platform.api("GET", path)["envelopes"]["batch"]
    return batch


def text(envelope: dict[str, Any]) -> str:
    """What a line says."""
    return base64.b64decode(envelope["log"]["payload"]).decode("utf-8", "replace")


def _ended(platform: Platform, app: App) -> bool:
    newest = read(platform, app, "descending=true&limit=20")
    return any(text(envelope).startswith("end ") for envelope in newest)


def _read_all(platform: Platform, app: App) -> Found:
    """Page by page from the oldest, as log readers do."""
    found = Found([], {})
    start = 0
    while True:
        page = read(platform, app, f"start_time={start}&limit={PAGE}")
        for envelope in page:
            line = text(envelope)
            if number := NUMBER.match(line):
                found.numbers.append(int(number[1]))
            elif mark := MARK.match(line):
                found.marks[mark[1]] = float(mark[2])
        if len(page) < PAGE:
            return found
        start = int(page[-1]["timestamp"]) + 1


def _docker_rate(app: App, mark: str) -> float:
    """Lines a second that come out of `docker logs -f`, of a container with the same log driver."""
    known = containers.inspect(containers.of_app(app)[0])
    driver = known["HostConfig"]["LogConfig"]
    options = ["--log-driver", driver["Type"]]
    for name, value in (driver["Config"] or {}).items():
        options += ["--log-opt", f"{name}={value}"]
    options += ["--label", mark, "--entrypoint", "bash", known["Image"], "-c", WRITE]
    try:
        container = containers.docker("run", "-d", "--init", *options)
        follow = subprocess.run(
            [machine.need("docker"), "logs", "-f", container],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        ended = time.time()
    finally:
        containers.remove_marked(mark)
    begun = re.search(r"^begin ([\d.]+)$", follow.stdout, re.MULTILINE)
    if begun is None:
        raise NotMeasured("docker logs shows no first line")
    return LINES / (ended - float(begun[1]))
