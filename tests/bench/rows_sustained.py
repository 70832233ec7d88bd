"""Logs under load that lasts: apps that write at a rate, a reader that stalls, cflite killed meanwhile.

A syslog drain checks every line. What it cannot take is told as lost by cflite in the app's own log,
which the drain gets as well: what neither came nor was told is lost in silence. The end of each log
is read back from the store.
"""

import inspect
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import drain
import machine
import rows_logs
from cloud import App, Platform
from drain import Receiver
from report import NotMeasured, Row, judge

SECONDS = 60
RATE = 50_000
MANY = 20
RATE_OF_MANY = 5_000
KILL_SECONDS = 30
# When it is killed.
KILL_AFTER = 10

APP = f"""import http.server, json, os, sys, threading, time, urllib.parse

result = {{}}

{inspect.getsource(drain.text_of)}
"""
APP += '''
def write(lines, rate):
    begun = time.monotonic()
    step = max(1, rate // 50)
    for first in range(1, lines + 1, step):
        wait = begun + (first - 1) / rate - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        part = range(first, min(first + step, lines + 1))
        sys.stdout.buffer.write("".join(text_of(number) + "\\n" for number in part).encode())
        sys.stdout.buffer.flush()
    result["seconds"] = time.monotonic() - begun

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/write":
            wanted = dict(urllib.parse.parse_qsl(url.query))
            numbers = (int(wanted["lines"]), int(wanted["rate"]))
            threading.Thread(target=write, args=numbers, daemon=True).start()
        body = json.dumps(result).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass

http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
'''
FILES = {"app.py": APP, "Procfile": "web: python3 app.py\n"}


@dataclass
class Written:
    """What one app wrote, and what became of it."""

    lines: drain.Lines
    seconds: float
    # Envelopes that the log store has taken in: the lines, and few others.
    stored: int
    # Lines at the end of the stored log that follow on each other, up to the last one.
    kept: int


def one_app(platform: Platform) -> Row:
    """One app at 50 000 lines a second for a minute, next to a reader that takes nothing."""
    with _writers(platform, "sustained", 1, RATE * SECONDS) as (apps, receiver):
        with _stalled(platform, f"&source_id={apps[0].guid}") as stalled:
            _write(platform, apps, RATE * SECONDS, RATE)
            written = _wait(platform, apps, receiver, RATE * SECONDS)
            closed = _was_closed(stalled)
    what = f"logs, {RATE:,} lines/s from one app for {SECONDS} s, a reader stalled"
    return _row(what, written, closed, RATE)


def many_apps(platform: Platform) -> Row:
    """Twenty apps at 5 000 lines a second each."""
    count = RATE_OF_MANY * SECONDS
    with _writers(platform, "crowd", MANY, count) as (apps, receiver):
        with _stalled(platform, "") as stalled:
            _write(platform, apps, count, RATE_OF_MANY)
            written = _wait(platform, apps, receiver, count)
            closed = _was_closed(stalled)
    what = f"logs, {RATE_OF_MANY:,} lines/s from each of {MANY} apps for {SECONDS} s, a reader stalled"
    return _row(what, written, closed, RATE_OF_MANY)


def killed(platform: Platform) -> Row:
    """One app at 50 000 lines a second; cflite is killed and started again meanwhile."""
    count = RATE * KILL_SECONDS
    with _writers(platform, "killed", 1, count) as (apps, receiver):
        _write(platform, apps, count, RATE)
        time.sleep(KILL_AFTER)
        platform.kill()
        answered, _back = platform.up()
        written = _wait(platform, apps, receiver, count)
    row = _row(f"logs, {RATE:,} lines/s from one app, cflite killed meanwhile", written, None, RATE)
    row.samples["api_answered_after_seconds"] = answered
    return row


@contextmanager
def _writers(
    platform: Platform, name: str, number: int, count: int
) -> Iterator[tuple[list[App], Receiver]]:
    """So many running apps that are bound to a drain."""
    with Receiver(count) as receiver:
        names = [f"{name}-{index}" for index in range(1, number + 1)]
        apps = [platform.push(app, FILES, "binary_buildpack") for app in names]
        space = {"space": {"data": {"guid": platform.space()}}}
        service = platform.api(
            "POST",
            "/v3/service_instances",
            {
                "type": "user-provided",
                "name": f"drain-{name}",
                "syslog_drain_url": receiver.url,
                "relationships": space,
            },
        )["guid"]
        for app in apps:
            bound = {"app": {"data": {"guid": app.guid}}, "service_instance": {"data": {"guid": service}}}
            body = {"type": "app", "relationships": bound}
            platform.api("POST", "/v3/service_credential_bindings", body)
        # A drain is at work a moment after its binding.
        time.sleep(2)
        yield apps, receiver
        for app in apps:
            platform.api("POST", f"/v3/apps/{app.guid}/actions/stop")


@contextmanager
def _stalled(platform: Platform, query: str) -> Iterator[socket.socket]:
    """A log stream that is opened and never read."""
    with ExitStack() as stack:
        client = socket.socket()
        stack.callback(client.close)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", platform.ports["HTTP"]))
        token = platform.authorization()["Authorization"]
        client.sendall(
            f"GET /v2/read?log{query} HTTP/1.1\r\nHost: log-stream.cf.localhost\r\n"
            f"Authorization: {token}\r\n\r\n".encode()
        )
        status = client.recv(12)
        if status != b"HTTP/1.1 200":
            raise NotMeasured(f"the log stream is answered {status!r}")
        yield client


def _was_closed(client: socket.socket) -> bool:
    """Whether a stalled stream ends after what is in its buffers; its connection may stay."""
    client.settimeout(10)
    end = b""
    try:
        while chunk := client.recv(1 << 20):
            end = (end + chunk)[-7:]
            if end == b"\r\n0\r\n\r\n":
                break
        return True
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def _write(platform: Platform, apps: list[App], count: int, rate: int) -> None:
    for app in apps:
        path = f"/write?lines={count}&rate={rate}"
        if platform.status_of(app.host, path) != 200:
            raise NotMeasured(f"{app.name} does not begin to write")


def _wait(platform: Platform, apps: list[App], receiver: Receiver, count: int) -> list[Written]:
    """Until every app has written and nothing more comes."""
    seconds: dict[str, float] = {}
    end = time.monotonic() + 3 * SECONDS

    def wrote(app: App) -> bool:
        if app.guid not in seconds:
            answer = platform.page_of(app.host)
            if answer.startswith("{") and "seconds" in (found := json.loads(answer)):
                seconds[app.guid] = found["seconds"]
        return app.guid in seconds

    while not all([wrote(app) for app in apps]):
        if time.monotonic() > end:
            raise NotMeasured(f"an app still writes after {3 * SECONDS} s")
        time.sleep(1)

    def known() -> int:
        of_all = [receiver.of(app.guid) for app in apps]
        return sum(one.unique + one.told_lost + one.repeated for one in of_all)

    before, same = known(), 0
    while same < 5 and time.monotonic() < end:
        time.sleep(1)
        now = known()
        same = same + 1 if now == before else 0
        before = now
    return [
        Written(
            receiver.of(app.guid),
            seconds[app.guid],
            _stored(platform, app),
            _kept(platform, app, count),
        )
        for app in apps
    ]


def _stored(platform: Platform, app: App) -> int:
    found = platform.api("GET", "/api/v1/meta")["meta"].get(app.guid, {})
    return int(found.get("count", 0)) + int(found.get("expired", 0))


def _kept(platform: Platform, app: App, count: int) -> int:
    """Reads back the end of a stored log; how many lines follow on each other up to the last one."""
    numbers: list[int] = []
    start = 0
    while True:
        page = rows_logs.read(platform, app, f"start_time={start}&limit={rows_logs.PAGE}")
        for envelope in page:
            text = rows_logs.text(envelope)
            if found := rows_logs.NUMBERED.match(text):
                number = int(found[1])
                if text != drain.text_of(number):
                    raise RuntimeError(f"the log has a line that was not written: {text[:80]!r}")
                numbers.append(number)
        if len(page) < rows_logs.PAGE:
            break
        start = int(page[-1]["timestamp"]) + 1
    wanted = list(range(count - len(numbers) + 1, count + 1))
    return len(numbers) if numbers == wanted else 0


def _row(what: str, written: list[Written], closed: bool | None, rate: int) -> Row:
    def total(name: str) -> int:
        return sum(int(getattr(one.lines, name)) for one in written)

    count = sum(one.lines.count for one in written)
    slowest = min(one.lines.count / one.seconds for one in written)
    faults = {name: total(name) for name in ("out_of_order", "wrong", "lost_in_silence")}
    kept = min(one.kept for one in written)
    told = total("told_lost")
    measured = (
        f"{slowest:,.0f} lines/s written, {faults['lost_in_silence']} of {count:,} lost in silence, "
        f"{faults['out_of_order']} out of order, {faults['wrong']} wrong"
    )
    samples = {
        "seconds": [one.seconds for one in written],
        "lines": count,
        "envelopes_stored": sum(one.stored for one in written),
        "lines_that_the_drain_got": total("unique"),
        "lines_told_as_lost": told,
        "lines_that_came_twice": total("repeated"),
        "lines_read_back_in_order": [one.kept for one in written],
        "stalled_reader_closed": closed,
        **faults,
    }
    fine = [found == 0 for found in faults.values()]
    return Row(
        what,
        measured,
        f"{sum(one.stored for one in written):,} envelopes stored; the drain got {total('unique'):,} (told as lost {told:,}, twice {total('repeated'):,}); "
        f"the last {kept:,} read back",
        "all of them, in order, once",
        judge(*fine, kept > 0, all(one.stored >= one.lines.count for one in written), closed is not False, slowest >= 0.95 * rate),
        samples,
    )
