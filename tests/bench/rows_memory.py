"""What the platform keeps when the work is done: memory, database handles and threads."""

import http.client
import io
import json
import os
import random
import threading
import time
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import hostile
import machine
import rows_apps
import rows_lists
from cloud import BOUNDARY, DOMAIN, App, Platform
from report import NotMeasured, Row, judge

UPLOADS = 300
UPLOADERS = 4
LARGEST_FILE = 2_000_000
STAGINGS = 12
LISTS = 10_000
# How many lists fill caches and pools before the first look.
WARM_UP = 500
APPS = 2_000
SETTLE_SECONDS = 60


@dataclass
class Holdings:
    """What a process holds."""

    resident: float
    handles: int
    threads: int

    @classmethod
    def of(cls, platform: Platform) -> "Holdings":
        """As it is now."""
        process = Path(f"/proc/{platform.pid}")
        handles = 0
        for handle in (process / "fd").iterdir():
            try:
                handles += "/cflite.db" in os.readlink(handle)
            except FileNotFoundError:
                continue
        threads = sum(1 for _ in (process / "task").iterdir())
        return cls(machine.memory(platform.pid)["rss"], handles, threads)


def memory(cflite: str, temp: Path) -> list[Row]:
    """Resident memory after the first push, and after many uploads, stagings and hostile lists."""
    platform = Platform(cflite, temp / "memory")
    try:
        platform.up()
        space = platform.space()
        platform.down()
        rows_lists.fill(platform.data_dir / "cflite.db", space, APPS)
        platform.up()
        platform.rest()
        app = rows_apps.push_sample(platform, 1)
        first = _at_rest(platform, None)
        _pushes(platform, app)
        pushed = _at_rest(platform, None)
        hostile.lists(platform, WARM_UP)
        before = _at_rest(platform, None)
        answers = hostile.lists(platform, LISTS)
        after = _at_rest(platform, before)
    finally:
        platform.remove()
    return [_growth(first, pushed, after), _hostile(before, after, answers)]


def _growth(first: Holdings, pushed: Holdings, after: Holdings) -> Row:
    ratio = after.resident / first.resident
    return Row(
        f"memory after {UPLOADS} uploads, {STAGINGS} stagings, {LISTS:,} lists",
        f"{first.resident:.1f} MB after the first push, {pushed.resident:.1f} after the pushes, "
        f"{after.resident:.1f} after the lists: {ratio:.2f} ×",
        budget="≤ 1.5 ×",
        verdict=judge(ratio <= 1.5),
        samples={"first": vars(first), "pushed": vars(pushed), "after": vars(after)},
    )


def _hostile(before: Holdings, after: Holdings, answers: Counter[str]) -> Row:
    grown = after.resident - before.resident
    more = (after.handles - before.handles, after.threads - before.threads)
    failed = sum(count for status, count in answers.items() if status.startswith("5"))
    return Row(
        f"after {LISTS:,} hostile lists",
        f"{grown:+.1f} MB, {more[0]:+} database handles of {before.handles}, "
        f"{more[1]:+} threads of {before.threads}; {failed} answers 5xx",
        budget="± 10 MB, ± 0, ± 0",
        verdict=judge(grown <= 10, more[0] <= 0, more[1] <= 0, failed == 0),
        samples={"before": vars(before), "after": vars(after), "answers": dict(answers)},
    )


def _at_rest(platform: Platform, before: Holdings | None) -> Holdings:
    """What is held once idle threads have ended and freed memory went back, or after a minute."""
    end = time.monotonic() + SETTLE_SECONDS
    seen = [Holdings.of(platform)]
    while time.monotonic() < end:
        time.sleep(3)
        seen.append(Holdings.of(platform))
        steady = len(seen) > 3 and len({each.threads for each in seen[-3:]}) == 1
        if steady and (before is None or seen[-1].threads <= before.threads):
            break
    return seen[-1]


def _pushes(platform: Platform, app: App) -> None:
    """Packages of all sizes by several clients at once, and some of them staged."""
    left = iter(range(UPLOADS))
    lock = threading.Lock()
    faults: list[BaseException] = []
    headers = {"Host": f"api.{DOMAIN}", **platform.authorization()}

    def upload_all() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", platform.ports["HTTP"], timeout=120)
        try:
            while not faults:
                with lock:
                    number = next(left, None)
                if number is None:
                    return
                _upload(connection, headers, app, number)
        except BaseException as fault:  # reported to the caller that waits
            faults.append(fault)
        finally:
            connection.close()

    threads = [threading.Thread(target=upload_all) for _ in range(UPLOADERS)]
    for thread in threads:
        thread.start()
    for number in range(STAGINGS):
        platform.stage(f"staged-{number % 3}", rows_apps.sample(f"staging {number}"))
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def _upload(
    connection: http.client.HTTPConnection, headers: dict[str, str], app: App, number: int
) -> None:
    relationships = {"app": {"data": {"guid": app.guid}}}
    body = json.dumps({"type": "bits", "relationships": relationships}).encode()
    made = _exchange(connection, "/v3/packages", body, {**headers, "Content-Type": "application/json"})
    form = {**headers, "Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    path = f"/v3/packages/{json.loads(made)['guid']}/upload"
    _exchange(connection, path, _bits(number), form)


def _exchange(
    connection: http.client.HTTPConnection, path: str, body: bytes, headers: dict[str, str]
) -> bytes:
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    text = answer.read()
    if not 200 <= answer.status < 300:
        raise NotMeasured(f"POST {path}: {answer.status} {text[:600]!r}")
    return text


def _bits(number: int) -> bytes:
    """A form with a zip of some files, which are different for every number."""
    chance = random.Random(number)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bits:
        for name in range(chance.randint(1, 40)):
            size = int(LARGEST_FILE ** chance.random())
            half = chance.randbytes(size // 2)
            bits.writestr(f"folder-{name % 5}/file-{name}", half + bytes(size - len(half)))
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="bits"; filename="package.zip"\r\n'
        "Content-Type: application/zip\r\n\r\n"
    )
    return head.encode() + archive.getvalue() + f"\r\n--{BOUNDARY}--\r\n".encode()
