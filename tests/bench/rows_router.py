"""The router: requests through it in turns with nginx in front of the same container, and what
connections cost that say nothing.

Target on one processor, load generator and upstream on another, where there are two.
"""

import contextlib
import math
import os
import re
import resource
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import containers
import machine
from cloud import App, Platform
from report import NotMeasured, Row, judge

ROUNDS = 2
SECONDS = 4
CLIENTS = 32
FEW, MANY = 2_000, 10_000
PARK_SECONDS = 7.0
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}

UPSTREAM = """worker_processes 1;
daemon off;
error_log stderr;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  server {
    listen {{port}} reuseport;
    location / { default_type text/plain; return 200 "ok"; }
  }
}
"""

PEER = """worker_processes 1;
daemon off;
pid TEMP/nginx.pid;
error_log TEMP/nginx-error.log;
events { worker_connections 4096; }
http {
  log_format rtr '$host - [$time_iso8601] "$request" $status $request_length $body_bytes_sent '
    '"$http_referer" "$http_user_agent" "$remote_addr:$remote_port" "$upstream_addr" '
    'x_forwarded_for:"$proxy_add_x_forwarded_for" x_forwarded_proto:"$scheme" '
    'vcap_request_id:"$request_id" response_time:$request_time '
    'gorouter_time:$upstream_response_time app_id:"APP" app_index:"0" '
    'instance_id:"APP" x_cf_routererror:"-"';
  access_log TEMP/access.log rtr;
  client_body_temp_path TEMP/body;
  proxy_temp_path TEMP/proxy;
  fastcgi_temp_path TEMP/fastcgi;
  uwsgi_temp_path TEMP/uwsgi;
  scgi_temp_path TEMP/scgi;
  keepalive_requests 1000000000;
  upstream app { server ADDRESS; keepalive 100; }
  server {
    listen 127.0.0.1:PORT;
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Vcap-Request-Id $request_id;
    }
  }
}
"""


@dataclass
class Load:
    """What one run of the load generator found."""

    requests: int
    rate: float
    p99: float
    errors: int
    cpu: float

    @property
    def cpu_per_10k(self) -> float:
        """Seconds of processor time that 10 000 requests cost the target."""
        return self.cpu * 10_000 / self.requests


def push_upstream(platform: Platform) -> App:
    """An app that answers two bytes from memory and logs nothing."""
    return platform.push("upstream", {"nginx.conf": UPSTREAM}, "nginx_buildpack")


def throughput(platform: Platform, app: App, temp: Path) -> list[Row]:
    """Requests a second, latency and processor time, in turns with nginx."""
    machine.need("wrk")
    cpus = sorted(os.sched_getaffinity(0))
    near, far = {cpus[0]}, {cpus[-1]}
    container = containers.of_app(app)[0]
    limits = ["--cpu-shares", "1024", "--cpuset-cpus", str(cpus[0])]
    containers.docker("update", *limits, container)
    machine.pin(platform.pid, far)
    mine: list[Load] = []
    peers: list[Load] = []
    lost_before, taken_before = _lost(platform), _taken_in(platform, app)
    try:
        with _nginx(f"{containers.address(container)}:{containers.PORT}", temp) as (pid, port):
            machine.pin(pid, far)
            for _ in range(ROUNDS):
                mine.append(_load(platform.ports["HTTP"], app.host, platform.pid, near))
                peers.append(_load(port, app.host, pid, near))
    finally:
        machine.pin(platform.pid, set(cpus))
    lost = _lost(platform) - lost_before
    taken = _taken_in(platform, app) - taken_before
    # Of what was taken in some are timers and gauges: it shows no more than that lines came at all.
    sent = sum(load.requests for load in mine)
    kept = min(taken, max(0, sent - lost))
    return _rows(mine, peers, kept, pinned=near != far)


@contextlib.contextmanager
def _nginx(address: str, temp: Path) -> Iterator[tuple[int, int]]:
    """Debian's nginx in front of the same container, with a line of the same shape for each request."""
    program = machine.need("nginx")
    port = machine.free_ports(1)[0]
    text = PEER.replace("TEMP", str(temp)).replace("ADDRESS", address).replace("PORT", str(port))
    if os.geteuid() == 0:
        text = "user root;\n" + text
    config = temp / "nginx.conf"
    config.write_text(text.replace("APP", "0" * 36), encoding="utf-8")
    with subprocess.Popen(
        [program, "-p", str(temp), "-c", str(config)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            machine.wait_until("nginx listens", lambda: _listens(port), limit=10)
            yield process.pid, port
        finally:
            process.terminate()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _load(port: int, host: str, target: int, cpus: set[int]) -> Load:
    before = machine.cpu_seconds(target)
    command = [machine.need("wrk"), "-t1", f"-c{CLIENTS}", f"-d{SECONDS}s", "--latency"]
    done = subprocess.run(
        [*command, "-H", f"Host: {host}", f"http://127.0.0.1:{port}/"],
        capture_output=True,
        text=True,
        timeout=SECONDS + 20,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
    )
    # Lines that still wait to be written belong to the run.
    time.sleep(1)
    return _parse(done.stdout, machine.cpu_seconds(target) - before)


def _parse(text: str, cpu: float) -> Load:
    """Reads wrk's report."""
    requests = re.search(r"(\d+) requests in", text)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    if not (requests and rate and p99) or int(requests[1]) == 0:
        raise NotMeasured(f"wrk reports no requests: {text[-200:]!r}")
    errors = sum(int(number) for number in re.findall(r"Non-2xx or 3xx responses: (\d+)", text))
    for numbers in re.findall(r"Socket errors: (.*)", text):
        errors += sum(int(number) for number in re.findall(r"\d+", numbers))
    milliseconds = float(p99[1]) * UNITS[p99[2]]
    return Load(int(requests[1]), float(rate[1]), milliseconds, errors, cpu)


def _lost(platform: Platform) -> int:
    """Lines and timers that the platform could not store since its start."""
    status, _headers, text = platform.request("GET", "/metrics", None, platform.authorization())
    found = re.search(rb"^cflite_log_lost_total (\d+)", text, re.MULTILINE)
    if status != 200 or found is None:
        raise NotMeasured(f"GET /metrics: {status}, without cflite_log_lost_total")
    return int(found[1])


def _taken_in(platform: Platform, app: App) -> int:
    """How many envelopes of an app were ever taken in: lines, timers and gauges."""
    found = platform.api("GET", "/api/v1/meta")["meta"].get(app.guid, {})
    return int(found.get("count", 0)) + int(found.get("expired", 0))


def _rows(mine: list[Load], peers: list[Load], kept: int, pinned: bool) -> list[Row]:
    def median(loads: list[Load], name: str) -> float:
        return statistics.median(float(getattr(load, name)) for load in loads)

    cpu, peer_cpu = median(mine, "cpu_per_10k"), median(peers, "cpu_per_10k")
    p99, peer_p99 = median(mine, "p99"), median(peers, "p99")
    rate, peer_rate = median(mine, "rate"), median(peers, "rate")
    errors = sum(load.errors for load in mine)
    sent = sum(load.requests for load in mine)
    share = 100 * kept / sent
    samples = {
        "cflite": [asdict(load) for load in mine],
        "nginx": [asdict(load) for load in peers],
        "pinned": pinned,
        "log_lines_kept": kept,
    }
    how = f"router, {CLIENTS} clients{', pinned' if pinned else ''}"
    return [
        Row(
            f"{how}: requests/s",
            f"{rate:,.0f}, {errors} errors",
            f"{rate / peer_rate:.2f} × nginx ({peer_rate:,.0f})",
            "no errors",
            judge(errors == 0),
            samples,
        ),
        Row(
            "  CPU per 10 000 requests",
            f"{cpu:.2f} s",
            f"{cpu / peer_cpu:.2f} × nginx ({peer_cpu:.2f} s)",
            "≤ 1 × nginx",
            judge(cpu <= peer_cpu),
        ),
        Row(
            "  p99",
            f"{p99:.2f} ms",
            f"nginx {peer_p99:.2f} ms",
            "≤ nginx + 0.5 ms",
            judge(p99 <= peer_p99 + 0.5),
        ),
        Row(
            "  access lines that reached the log",
            f"{share:.1f} % of {sent:,}",
            "nginx writes all",
            "all",
            judge(kept >= sent),
        ),
    ]


def idle_connections(platform: Platform, app: App) -> list[Row]:
    """Memory of clients that asked once and stay."""
    _allow_files(MANY + 500)
    with contextlib.ExitStack() as warm:
        _connect(warm, platform, app, 200)
    time.sleep(1)
    before = machine.memory(platform.pid)["rss"]
    with contextlib.ExitStack() as clients:
        _connect(clients, platform, app, FEW)
        at_once = machine.memory(platform.pid)["rss"]
        time.sleep(PARK_SECONDS)
        few = machine.memory(platform.pid)["rss"]
        _connect(clients, platform, app, MANY - FEW)
        time.sleep(PARK_SECONDS)
        many = machine.memory(platform.pid)["rss"]
    each = (few - before) * 1024 / FEW
    samples = {"before": before, "few_at_once": at_once, "few": few, "many": many}
    return [
        Row(
            f"{FEW:,} idle connections",
            f"{each:.2f} kB each (of new ones {(at_once - before) * 1024 / FEW:.2f})",
            budget="≤ 4 kB",
            verdict=judge(each <= 4),
            samples=samples,
        ),
        Row(
            f"{MANY:,} idle connections",
            f"{many:.1f} MB resident in all ({before:.1f} without them)",
            budget="≤ 60 MB",
            verdict=judge(many <= 60),
        ),
    ]


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = math.inf if hard == resource.RLIM_INFINITY else hard
    if most < count:
        raise NotMeasured(f"this user may open {hard} files, {count} are needed")
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def _connect(stack: contextlib.ExitStack, platform: Platform, app: App, count: int) -> None:
    """Opens connections that each have one answer."""
    request = f"GET / HTTP/1.1\r\nHost: {app.host}\r\n\r\n".encode()
    for number in range(count):
        client = socket.create_connection(("127.0.0.1", platform.ports["HTTP"]), 5)
        stack.callback(client.close)
        client.sendall(request)
        answer = client.recv(4096)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise NotMeasured(f"connection {number + 1} is answered {answer[:40]!r}")
