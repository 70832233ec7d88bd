"""Live reload, and a command in a staged folder."""

import json
import statistics
import subprocess
import time
from pathlib import Path

import machine
from cloud import Platform
from report import NotMeasured, Row, judge

SAVES = 5
# Until the save before it is surely over.
PAUSE = 1.0
SERVER = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"TEXT")
HTTPServer(("", int(os.environ["PORT"])), Page).serve_forever()
"""
APPS: dict[str, tuple[dict[str, str], str, str, float]] = {
    "static": ({"Staticfile": "", "index.html": "TEXT"}, "index.html", "TEXT", 0.5),
    "python": (
        {"requirements.txt": "", "Procfile": "web: python app.py\n", "app.py": SERVER},
        "app.py",
        SERVER,
        1.5,
    ),
}


def saves(platform: Platform, temp: Path) -> list[Row]:
    """From the save of a file to the first answer with its content, while nothing else changes."""
    return [_saves(platform, temp / f"dev-{kind}", kind) for kind in APPS]


def _saves(platform: Platform, folder: Path, kind: str) -> Row:
    files, changed, template, budget = APPS[kind]
    folder.mkdir()
    contents = {name: text.replace("TEXT", "start") for name, text in files.items()}
    for name, content in contents.items():
        (folder / name).write_text(content, encoding="utf-8")
    app = platform.push(f"dev-{kind}", contents)
    with platform.running("dev", app.name, "--path", str(folder), "--json") as process:
        machine.wait_until("the session has begun", lambda: _developed(app.guid), limit=60)
        seconds = []
        for number in range(SAVES + 1):
            time.sleep(PAUSE)
            text = f"save {number}"
            begun = time.monotonic()
            (folder / changed).write_text(template.replace("TEXT", text), encoding="utf-8")
            machine.wait_until(
                "the save is served", lambda: platform.page_of(app.host) == text, limit=30, every=0.005
            )
            seconds.append(time.monotonic() - begun)
        if process.poll() is not None:
            raise NotMeasured("cflite dev ended")
    # The first one may meet the session's beginning.
    median = statistics.median(seconds[1:])
    return Row(
        f"cflite dev, {kind}: save → served",
        f"{median:.2f} s",
        budget=f"≤ {budget} s",
        verdict=judge(median <= budget),
        samples={"seconds": seconds},
    )


def _developed(guid: str) -> bool:
    """Whether a container of the app has the supervisor."""
    listed = subprocess.run(
        [machine.need("docker"), "ps", "--quiet", "--filter", f"label=cflite.app={guid}"],
        capture_output=True, text=True, timeout=20, check=True,
    )
    for container in listed.stdout.split():
        command = [machine.need("docker"), "exec", container, "cat", "/tmp/cflite-dev/state"]
        state = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        if "listening" in state.stdout:
            return True
    return False


def command(platform: Platform, temp: Path) -> Row:
    """`cflite exec` of a folder without dependencies, beside `docker run` of the stack alone."""
    folder = temp / "exec"
    folder.mkdir()
    (folder / "requirements.txt").write_text("", encoding="utf-8")
    images = json.loads(platform.command("images", "list", "--json"))
    run = next(one["reference"] for one in images if one["role"] == "run" and one["state"] == "up to date")
    docker = [machine.need("docker"), "run", "--rm", "--network", "none", run, "true"]
    mine, peer = [], []
    for _ in range(SAVES):
        begun = time.monotonic()
        platform.command("exec", "--app-dir", str(folder), "--quiet", "--", "true")
        mine.append(time.monotonic() - begun)
        begun = time.monotonic()
        subprocess.run(docker, capture_output=True, timeout=60, check=True)
        peer.append(time.monotonic() - begun)
    return Row(
        "cflite exec true: stage and run",
        f"{statistics.median(mine):.2f} s",
        f"{statistics.median(mine) / statistics.median(peer):.1f} × docker run",
        samples={"mine": mine, "docker run": peer},
    )
