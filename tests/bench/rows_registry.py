"""The image registry beside Debian's docker-registry, and the push of an image that is cached."""

import hashlib
import json
import os
import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import containers
import machine
from cloud import Platform
from report import NotMeasured, Row, judge

MEGABYTES = 512
ROUNDS = 3
PUSHES = 3
# Memory that a blob of any size may cost.
FLAT = 24.0
PROGRAM = Path("/usr/bin/busybox")


@dataclass
class Registry:
    """Where a registry answers, and as whom."""

    origin: str
    user: str | None

    def curl(self, *words: str) -> str:
        """One request; fails like curl."""
        command = [machine.need("curl"), "--fail", "--silent", "--show-error", *words]
        if self.user:
            command += ["--user", self.user]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode != 0:
            raise NotMeasured(f"{self.origin}: {done.stderr.strip()}")
        return done.stdout.strip()

    def push(self, repository: str, blob: Path, digest: str) -> float:
        """Seconds of the upload, as docker does it: begin, one stream, end."""
        begun = time.monotonic()
        headers = self.curl(
            "--request", "POST", "--dump-header", "-", "--output", os.devnull,
            f"{self.origin}/v2/{repository}/blobs/uploads/",
        )
        location = self._next(headers)
        headers = self.curl(
            "--request", "PATCH", "--upload-file", str(blob), "--dump-header", "-",
            "--header", "Content-Type: application/octet-stream", "--output", os.devnull, location,
        )
        location = self._next(headers)
        mark = "&" if "?" in location else "?"
        self.curl("--request", "PUT", f"{location}{mark}digest={digest}")
        return time.monotonic() - begun

    def pull(self, repository: str, digest: str) -> float:
        """Seconds of a download."""
        begun = time.monotonic()
        self.curl("--output", os.devnull, f"{self.origin}/v2/{repository}/blobs/{digest}")
        return time.monotonic() - begun

    def _next(self, headers: str) -> str:
        for line in headers.splitlines():
            name, _, value = line.partition(":")
            if name.lower() == "location":
                location = value.strip()
                return location if "://" in location else self.origin + location
        raise NotMeasured(f"{self.origin}: no Location")


def throughput(platform: Platform, temp: Path) -> list[Row]:
    """Pushes and pulls of one large blob, in turns with the peer; the memory they cost."""
    folder = temp / "registry"
    folder.mkdir()
    mine = Registry(f"http://127.0.0.1:{_port(platform)}", f"admin:{_password(platform)}")
    with _Peer(folder) as peer:
        pushes, pulls, memory = _rounds({"mine": mine, "peer": peer}, folder, platform)
    shutil.rmtree(folder)
    push, pull = _ratio(pushes), _ratio(pulls)
    return [
        _row("registry push", pushes, push),
        _row("registry pull", pulls, pull),
        Row(
            "  memory they cost",
            f"{memory:.0f} MB at the most",
            budget=f"≤ {FLAT:.0f} MB",
            verdict=judge(memory <= FLAT),
        ),
    ]


Seconds = dict[str, list[float]]


def _rounds(
    registries: dict[str, Registry], folder: Path, platform: Platform
) -> tuple[Seconds, Seconds, float]:
    pushes: Seconds = {name: [] for name in registries}
    pulls: Seconds = {name: [] for name in registries}
    blob = folder / "blob"
    before = machine.memory(platform.pid)["rss"]
    # The most that the process used from here on.
    Path(f"/proc/{platform.pid}/clear_refs").write_text("5", encoding="ascii")
    for number in range(ROUNDS):
        digest = _make(blob)
        for name, registry in registries.items():
            repository = f"admin/bench-{number}"
            pushes[name].append(registry.push(repository, blob, digest))
            pulls[name].append(registry.pull(repository, digest))
    return pushes, pulls, machine.memory(platform.pid)["peak"] - before


def _ratio(seconds: Seconds) -> float:
    return statistics.median(seconds["peer"]) / statistics.median(seconds["mine"])


def _row(what: str, seconds: Seconds, ratio: float) -> Row:
    speed = MEGABYTES / statistics.median(seconds["mine"])
    return Row(
        f"{what}, {MEGABYTES} MiB blob",
        f"{speed:.0f} MiB/s",
        f"{ratio:.2f} × docker-registry's throughput",
        "≥ 1 ×",
        judge(ratio >= 1),
        {"seconds": seconds},
    )


def _make(blob: Path) -> str:
    """Fills the file with bytes that nobody has; gives their digest."""
    sha256 = hashlib.sha256()
    with blob.open("wb") as out:
        for _ in range(MEGABYTES):
            chunk = os.urandom(1 << 20)
            sha256.update(chunk)
            out.write(chunk)
    return f"sha256:{sha256.hexdigest()}"


class _Peer:
    """Debian's docker-registry on a port and in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._program = machine.need("docker-registry")
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Registry:
        port = machine.free_ports(1)[0]
        config = self._folder / "config.yml"
        config.write_text(
            "version: 0.1\nlog: {level: error}\n"
            f"storage: {{filesystem: {{rootdirectory: {self._folder / 'peer'}}}}}\n"
            f"http: {{addr: '127.0.0.1:{port}'}}\n",
            encoding="utf-8",
        )
        self._process = subprocess.Popen(
            [self._program, "serve", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        registry = Registry(f"http://127.0.0.1:{port}", None)

        def answers() -> bool:
            try:
                registry.curl(f"{registry.origin}/v2/")
            except NotMeasured:
                return False
            return True

        machine.wait_until("docker-registry answers", answers, limit=20)
        return registry

    def __exit__(self, *_error: object) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=20)


def cached_push(platform: Platform, temp: Path) -> Row:
    """From the package of an image that the registry has to the first 200, by phase."""
    name = f"127.0.0.1:{_port(platform)}/admin/bench-app:1"
    _push_image(platform, name, temp)
    pushes = [platform.push_image(f"image{number}", name) for number in range(PUSHES)]
    total = statistics.median(app.total for app in pushes)
    phases = ", ".join(
        f"{phase} {statistics.median(getattr(app, phase) for app in pushes):.2f}"
        for phase in ("staging", "start")
    )
    return Row(
        "push of a cached image: build → first 200",
        f"{total:.2f} s ({phases})",
        budget="≤ 3 s",
        verdict=judge(total <= 3),
        samples={"pushes": [vars(app) | {"total": app.total} for app in pushes]},
    )


def _push_image(platform: Platform, name: str, temp: Path) -> None:
    """Builds an image of a web server and pushes it to the platform's registry."""
    if not PROGRAM.exists() or b"dynamic" in _kind(PROGRAM):
        raise NotMeasured("no busybox-static")
    context = temp / "image"
    context.mkdir()
    shutil.copy(PROGRAM, context / "busybox")
    (context / "index.html").write_text("ok\n", encoding="utf-8")
    (context / "Dockerfile").write_text(
        "FROM scratch\nCOPY busybox /busybox\nCOPY index.html /www/index.html\nEXPOSE 8080\n"
        'USER 1000\nCMD ["/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]\n',
        encoding="utf-8",
    )
    environment = {**os.environ, "DOCKER_CONFIG": str(context), "DOCKER_BUILDKIT": "0"}

    def docker(*words: str) -> None:
        command = [machine.need("docker"), *words]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode != 0:
            raise NotMeasured(f"docker {words[0]}: {done.stderr.strip()}")

    docker("build", "--quiet", "--label", containers.mark_of(temp), "--tag", name, str(context))
    try:
        docker("login", "--username", "admin", "--password", _password(platform), name.split("/")[0])
        docker("push", "--quiet", name)
    finally:
        docker("rmi", name)


def _kind(program: Path) -> bytes:
    """What ldd says of a program."""
    done = subprocess.run(
        [machine.need("ldd"), str(program)], capture_output=True, timeout=10, check=False
    )
    return b"static" if b"not a dynamic" in done.stderr + done.stdout else b"dynamic"


def _port(platform: Platform) -> int:
    running = json.loads((platform.data_dir / "running.json").read_text(encoding="utf-8"))
    return int(running["registry_port"])


def _password(platform: Platform) -> str:
    return (platform.data_dir / "admin-password").read_text(encoding="utf-8").strip()
