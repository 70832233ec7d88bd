"""The web console: times and sizes of its pages with 1 000 apps, and many open pages."""

import gzip
import http.client
import re
import time
import urllib.parse
from pathlib import Path

import machine
import rows_lists
from cloud import Platform
from report import NotMeasured, Row, judge

APPS = 1000
ROUNDS = 20
OPEN = 50
# Of the script and the style of a page, gzipped.
SCRIPT_BUDGET, STYLE_BUDGET = 50_000, 12_000


def pages(cflite: str, temp: Path) -> list[Row]:
    """Each page from the request to its last byte, and what it weighs."""
    platform = Platform(cflite, temp / "console")
    try:
        platform.up()
        space = platform.space()
        platform.down()
        guids = rows_lists.fill(platform.data_dir / "cflite.db", space, APPS)
        platform.up()
        platform.rest()
        browser = Browser(platform)
        rows = [
            _page(browser, what, path)
            for what, path in [
                ("Home", "/console"),
                ("Apps", "/console/apps"),
                ("an app", f"/console/apps/{guids[0]}"),
            ]
        ]
        return [*rows, _weight(browser), _open_pages(platform, browser)]
    finally:
        platform.remove()


def _page(browser: "Browser", what: str, path: str) -> Row:
    times, size = [], 0
    browser.get(path)
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        body = browser.get(path)
        times.append((time.perf_counter() - begun) * 1000)
        size = len(gzip.compress(body))
    p95 = machine.percentile(times, 95)
    return Row(
        f"console, {what} with {APPS:,} apps",
        f"p50 {machine.percentile(times, 50):.0f} ms, p95 {p95:.0f} ms, {size / 1000:.1f} kB gzipped",
        budget="≤ 100 ms",
        verdict=judge(p95 <= 100),
        samples={"milliseconds": times},
    )


def _weight(browser: "Browser") -> Row:
    home = browser.get("/console").decode()
    weights = {}
    for kind in ("js", "css"):
        found = re.findall(rf'"(/console/assets/[^"]+\.{kind})"', home)
        weights[kind] = sum(len(browser.get(path, packed=True)) for path in set(found))
    fine = weights["js"] <= SCRIPT_BUDGET and weights["css"] <= STYLE_BUDGET
    return Row(
        "console, scripts and styles of a page, gzipped",
        f"{weights['js'] / 1000:.1f} and {weights['css'] / 1000:.1f} kB",
        budget="≤ 50 and 12 kB",
        verdict=judge(fine),
        samples=weights,
    )


def _open_pages(platform: Platform, browser: "Browser") -> Row:
    """Streams of changes that nobody reads from: the most that so many open pages cost."""
    before = machine.memory(platform.pid)["rss"]
    streams = [browser.stream("/console/live") for _ in range(OPEN)]
    try:
        time.sleep(2)
        busy = machine.cpu_seconds(platform.pid)
        time.sleep(5)
        busy = (machine.cpu_seconds(platform.pid) - busy) / 5
        grown = machine.memory(platform.pid)["rss"] - before
    finally:
        for stream in streams:
            stream.close()
    return Row(
        f"console, {OPEN} open pages at rest",
        f"{grown:.1f} MB more, CPU {busy * 100:.1f} %",
        budget="≤ 10 MB",
        verdict=judge(grown <= 10),
        samples={"megabytes": grown, "cpu": busy},
    )


class Browser:
    """A signed-in browser without scripts, over one connection."""

    def __init__(self, platform: Platform) -> None:
        self._port = platform.ports["HTTP"]
        self._connection = http.client.HTTPConnection("localhost", self._port, timeout=30)
        self._cookies: dict[str, str] = {}
        password = platform.command("credentials", "--json")
        found = re.search(r'"password": "([^"]+)"', password)
        if not found:
            raise NotMeasured("cflite credentials told no password")
        page = self._follow("/console").decode()
        fields = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page))
        fields = {name: value.replace("&#38;", "&") for name, value in fields.items()}
        fields |= {"username": "admin", "password": found[1]}
        status, headers, _body = self._send("POST", "/login.do", urllib.parse.urlencode(fields))
        if status != 302:
            raise NotMeasured(f"signing in answered {status}")
        self._follow(headers["location"])

    def get(self, path: str, packed: bool = False) -> bytes:
        """A page or an asset."""
        status, _headers, body = self._send("GET", path, packed=packed)
        if status != 200:
            raise NotMeasured(f"GET {path}: {status}")
        return body

    def stream(self, path: str) -> http.client.HTTPConnection:
        """A stream that stays open."""
        connection = http.client.HTTPConnection("localhost", self._port, timeout=30)
        connection.request("GET", path, headers=self._headers())
        status = connection.getresponse().status
        if status != 200:
            raise NotMeasured(f"GET {path}: {status}")
        return connection

    def _headers(self) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return {"cookie": cookies, "accept": "text/html"}

    def _follow(self, path: str) -> bytes:
        for _ in range(12):
            status, headers, body = self._send("GET", path)
            refresh = re.search(rb'http-equiv="refresh" content="0;url=([^"]+)"', body)
            if refresh:
                path = refresh[1].decode().replace("&#38;", "&")
            elif 300 <= status < 400:
                path = headers["location"]
            else:
                return body
            if path.startswith("http"):
                path = path[path.index("/", 8) :]
        raise NotMeasured("signing in leads in circles")

    def _send(
        self, method: str, path: str, form: str | None = None, packed: bool = False
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        headers = self._headers()
        if form is not None:
            headers["content-type"] = "application/x-www-form-urlencoded"
        if packed:
            headers["accept-encoding"] = "gzip"
        self._connection.request(method, path, body=form, headers=headers)
        answer = self._connection.getresponse()
        body = answer.read()
        for line in answer.headers.get_all("set-cookie", []):
            name, rest = line.split("=", 1)
            self._cookies[name] = rest.split(";")[0]
        return answer.status, answer.headers, body
