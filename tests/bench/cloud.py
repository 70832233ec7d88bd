"""A platform of the benchmark's own: its process, its API, and apps pushed to it.

The requests are those that `cf push` makes; times are taken around them.
"""

import base64
import http.client
import io
import json
import os
import signal
import subprocess
import time
import urllib.parse
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import machine
from report import NotMeasured

DOMAIN = "cf.localhost"
OWNER_LABEL = "cflite.platform"
APP_LABEL = "cflite.app"
BOUNDARY = "cflite-bench-6d1c9c1f"
PORTS = ("HTTP", "HTTPS", "REGISTRY")


@dataclass
class App:
    """A pushed app and the seconds its phases took."""

    name: str
    guid: str
    upload: float
    staging: float
    start: float = 0.0

    @property
    def host(self) -> str:
        """Its default route."""
        return f"{self.name}.{DOMAIN}"

    @property
    def total(self) -> float:
        """First byte of the upload to first 200."""
        return self.upload + self.staging + self.start


class Platform:
    """One data dir on ports of its own; the process may come and go."""

    def __init__(self, cflite: str, data_dir: Path) -> None:
        self.cflite = cflite
        self.data_dir = data_dir
        self.ports = dict(zip(PORTS, machine.free_ports(len(PORTS))))
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CFLITE_")},
            **{f"CFLITE_{name}_PORT": str(port) for name, port in self.ports.items()},
            "CFLITE_DATA_DIR": str(data_dir),
        }
        self._connection: http.client.HTTPConnection | None = None
        self._token = ""
        self._space = ""

    def command(self, *words: str, limit: float = 90) -> str:
        """Runs one of the platform's commands; gives what it printed."""
        done = subprocess.run(
            [self.cflite, *words],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=limit,
            check=False,
        )
        if done.returncode != 0:
            reason = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no reason given"]
            raise NotMeasured(f"cflite {words[0]}: {reason[-1]}")
        return done.stdout

    @contextmanager
    def running(self, *words: str) -> Iterator["subprocess.Popen[bytes]"]:
        """One of the platform's commands that runs until the block ends."""
        process = subprocess.Popen(
            [self.cflite, *words],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def up(self) -> tuple[float, float]:
        """Starts it; seconds until the API answered, and until `cflite up` came back."""
        begun = time.monotonic()
        # Ctrl-C is for the benchmark: what starts must get so far that it can be ended in order.
        starting = subprocess.Popen(
            [self.cflite, "up"],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            machine.wait_until(
                "the API answers",
                lambda: self.status_of(f"api.{DOMAIN}") == 200 or starting.poll() not in (None, 0),
                every=0.005,
            )
            answered = time.monotonic() - begun
        finally:
            _output, errors = starting.communicate(timeout=90)
        if starting.returncode != 0:
            raise NotMeasured(f"cflite up: {errors.strip()[-160:]}")
        return answered, time.monotonic() - begun

    def rest(self) -> None:
        """Waits until it has taken in the stack, which it does in the seconds after its first boot."""
        sizes = [0]

        def taken_in() -> bool:
            blobs = (self.data_dir / "blobs" / "sha256").rglob("*")
            sizes.append(sum(blob.stat().st_size for blob in blobs if blob.is_file()))
            return sizes[-1] > 100e6 and sizes[-1] == sizes[-2]

        machine.wait_until("the stack is in the registry", taken_in, every=2)

    def down(self, *options: str) -> None:
        """Ends the process; apps go on running unless told otherwise."""
        self._drop_connection()
        self.command("down", *options)

    def kill(self) -> None:
        """Ends the process as a crash does; apps go on running."""
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        machine.wait_until("the process is gone", lambda: not machine.runs(pid), limit=10)
        self._drop_connection()

    def remove(self) -> None:
        """Ends it and removes all it made, but for the stack images."""
        if self.data_dir.exists():
            self.down("--stop-apps")
            self.command("reset", "--yes", "--keep-images")

    @property
    def pid(self) -> int:
        """Of the running process."""
        return int(json.loads((self.data_dir / "running.json").read_text(encoding="utf-8"))["pid"])

    @property
    def id(self) -> str:
        """Value of the label on its containers."""
        return (self.data_dir / "platform-id").read_text(encoding="utf-8").strip()

    def status_of(self, host: str, path: str = "/") -> int | None:
        """The status a host name answers with over a new connection; None = no answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["HTTP"], timeout=5)
        try:
            connection.request("GET", path, headers={"Host": host})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def page_of(self, host: str) -> str:
        """What a host name answers at its root over a new connection; empty without an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["HTTP"], timeout=5)
        try:
            connection.request("GET", "/", headers={"Host": host})
            return connection.getresponse().read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException):
            return ""
        finally:
            connection.close()

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> tuple[int, Message, bytes]:
        """One exchange with the API over the kept connection."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", self.ports["HTTP"], timeout=60
            )
        try:
            self._connection.request(method, path, body, {"Host": f"api.{DOMAIN}", **headers})
            answer = self._connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (OSError, http.client.HTTPException):
            self._drop_connection()
            raise

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def authorization(self) -> dict[str, str]:
        """The header of the signed-in admin."""
        if not self._token:
            password = (self.data_dir / "admin-password").read_text(encoding="utf-8").strip()
            form = {"grant_type": "password", "username": "admin", "password": password}
            headers = {
                "Authorization": "Basic " + base64.b64encode(b"cf:").decode(),
                "Content-Type": "application/x-www-form-urlencoded",
            }
            body = urllib.parse.urlencode(form).encode()
            status, _headers, answer = self.request("POST", "/oauth/token", body, headers)
            if status != 200:
                raise NotMeasured(f"POST /oauth/token: {status}")
            self._token = json.loads(answer)["access_token"]
        return {"Authorization": f"bearer {self._token}"}

    def api(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One JSON exchange as admin."""
        content = None if body is None else json.dumps(body).encode()
        return self._signed(method, path, content, "application/json")[1]

    def _signed(
        self, method: str, path: str, body: bytes | None, kind: str
    ) -> tuple[Message, dict[str, Any]]:
        headers = self.authorization()
        if body is not None:
            headers["Content-Type"] = kind
        status, answered, text = self.request(method, path, body, headers)
        if not 200 <= status < 300:
            raise NotMeasured(f"{method} {path.partition('?')[0]}: {status} {text[:120]!r}")
        return answered, json.loads(text) if text else {}

    def space(self) -> str:
        """The space apps are pushed to, made when it is not there."""
        if not self._space:
            organization = self.api("POST", "/v3/organizations", {"name": "bench"})["guid"]
            owner = {"organization": {"data": {"guid": organization}}}
            space = self.api("POST", "/v3/spaces", {"name": "bench", "relationships": owner})
            self._space = space["guid"]
        return self._space

    def push(self, name: str, files: Mapping[str, str], buildpack: str | None = None) -> App:
        """Pushes an app and waits for its first 200."""
        return self._start(self.stage(name, files, buildpack))

    def stage(self, name: str, files: Mapping[str, str], buildpack: str | None = None) -> App:
        """Pushes an app as far as a droplet that it would start from."""
        self._apply_manifest(name, f"  buildpacks: [{buildpack}]\n" if buildpack else "")
        found = self.api("GET", f"/v3/apps?names={name}&space_guids={self.space()}")
        app = found["resources"][0]["guid"]
        package = self.api(
            "POST",
            "/v3/packages",
            {"type": "bits", "relationships": {"app": {"data": {"guid": app}}}},
        )["guid"]
        content = _upload_form(files)

        begun = time.monotonic()
        self._signed(
            "POST",
            f"/v3/packages/{package}/upload",
            content,
            f"multipart/form-data; boundary={BOUNDARY}",
        )
        self._wait_for_state(f"/v3/packages/{package}", "READY")
        uploaded = time.monotonic()
        staged = self._build(package, app)
        return App(name, app, uploaded - begun, staged - uploaded, time.monotonic() - staged)

    def push_image(self, name: str, image: str) -> App:
        """Pushes a Docker image and waits for its first 200."""
        self._apply_manifest(name, more=f"  docker: {{image: '{image}'}}\n")
        found = self.api("GET", f"/v3/apps?names={name}&space_guids={self.space()}")
        app = found["resources"][0]["guid"]
        owner = {"app": {"data": {"guid": app}}}
        begun = time.monotonic()
        package = self.api(
            "POST",
            "/v3/packages",
            {"type": "docker", "data": {"image": image}, "relationships": owner},
        )["guid"]
        made = time.monotonic()
        staged = self._build(package, app)
        pushed = App(name, app, made - begun, staged - made, time.monotonic() - staged)
        return self._start(pushed)

    def _build(self, package: str, app: str) -> float:
        """Stages a package and makes it current; gives when it was staged."""
        build = self.api("POST", "/v3/builds", {"package": {"guid": package}})["guid"]
        droplet = self._wait_for_state(f"/v3/builds/{build}", "STAGED")["droplet"]["guid"]
        staged = time.monotonic()
        current = f"/v3/apps/{app}/relationships/current_droplet"
        self.api("PATCH", current, {"data": {"guid": droplet}})
        return staged

    def _start(self, app: App) -> App:
        begun = time.monotonic()
        self.api("POST", f"/v3/apps/{app.guid}/actions/restart")
        machine.wait_until(f"{app.name} answers", lambda: self.status_of(app.host) == 200)
        app.start += time.monotonic() - begun
        return app

    def _apply_manifest(self, name: str, more: str = "") -> None:
        manifest = (
            f"applications:\n- name: {name}\n  memory: 64M\n  disk_quota: 256M\n"
            f"  default-route: true\n{more}"
        )
        path = f"/v3/spaces/{self.space()}/actions/apply_manifest"
        headers, _ = self._signed("POST", path, manifest.encode(), "application/x-yaml")
        job = headers["location"]
        self._wait_for_state(job[job.index("/v3/jobs/") :], "COMPLETE")

    def _wait_for_state(self, path: str, state: str) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def reached() -> bool:
            nonlocal found
            found = self.api("GET", path)
            if found["state"] == "FAILED":
                raise NotMeasured(f"{path}: {found.get('error') or found.get('errors')}")
            return bool(found["state"] == state)

        machine.wait_until(f"{path} is {state}", reached, limit=120, every=0.02)
        return found

    def stats(self, app: App) -> list[dict[str, Any]]:
        """The instances of an app's web process."""
        resources = self.api("GET", f"/v3/processes/{app.guid}/stats")["resources"]
        return [instance for instance in resources if instance["type"] == "web"]

    def running(self, app: App) -> list[dict[str, Any]]:
        """Those that run."""
        return [instance for instance in self.stats(app) if instance["state"] == "RUNNING"]


def _upload_form(files: Mapping[str, str]) -> bytes:
    """The body of an upload: no known resources, and a zip of the files; scripts can be run."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bits:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = (0o100755 if path.endswith(".sh") else 0o100644) << 16
            bits.writestr(entry, content)
    start = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    head = (
        f'{start}"resources"\r\n\r\n[]\r\n'
        f'{start}"bits"; filename="package.zip"\r\nContent-Type: application/zip\r\n\r\n'
    )
    return head.encode() + archive.getvalue() + f"\r\n--{BOUNDARY}--\r\n".encode()
