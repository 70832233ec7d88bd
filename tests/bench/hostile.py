"""Hostile clients: lists with long filters, and callers that hang up."""

import http.client
import random
import socket
import struct
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Mapping

from cloud import DOMAIN, Platform

CALLERS = 8
# One request of so many is not waited for.
HANG_UP = 3
SECONDS = 60
# Closing sends a reset instead of waiting for what is under way.
RESET = struct.pack("ii", 1, 0)


def lists(platform: Platform, count: int) -> Counter[str]:
    """So many lists by several callers at once; gives how often each status was answered."""
    headers = {"Host": f"api.{DOMAIN}", **platform.authorization()}
    port = platform.ports["HTTP"]
    counts: Counter[str] = Counter()
    faults: list[BaseException] = []
    shares = [len(range(caller, count, CALLERS)) for caller in range(CALLERS)]

    def call(caller: int) -> None:
        try:
            counts.update(_Caller(port, headers, caller).run(shares[caller]))
        except BaseException as fault:  # reported to the caller that waits
            faults.append(fault)

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]
    return counts


class _Caller:
    """One client with a connection of its own; always sends the same requests."""

    def __init__(self, port: int, headers: Mapping[str, str], number: int) -> None:
        self._chance = random.Random(number)
        self._port = port
        self._headers = headers
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)

    def run(self, count: int) -> Counter[str]:
        counts: Counter[str] = Counter()
        for number in range(count):
            path = self._chance.choice(_KINDS)(self._chance)
            if number % HANG_UP == 0:
                self._hang_up(path)
                counts["hung up"] += 1
            else:
                counts[str(self._status_of(path))] += 1
        self._connection.close()
        return counts

    def _status_of(self, path: str) -> int:
        self._connection.request("GET", path, headers=dict(self._headers))
        answer = self._connection.getresponse()
        answer.read()
        return answer.status

    def _hang_up(self, path: str) -> None:
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {text}" for name, text in self._headers.items())]
        with socket.create_connection(("127.0.0.1", self._port), timeout=SECONDS) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            connection.sendall("\r\n".join([*lines, "", ""]).encode())


def _names(chance: random.Random, most: int) -> str:
    return ",".join(f"name-{chance.getrandbits(48):012x}" for _ in range(chance.randint(1, most)))


def _guids(chance: random.Random, most: int) -> str:
    guids = (uuid.UUID(int=chance.getrandbits(128)) for _ in range(chance.randint(1, most)))
    return ",".join(str(guid) for guid in guids)


_KINDS: tuple[Callable[[random.Random], str], ...] = (
    lambda chance: f"/v3/apps?names={_names(chance, 3000)}",
    lambda chance: f"/v3/apps?guids={_guids(chance, 1500)}&order_by=-updated_at",
    lambda chance: f"/v3/apps?label_selector=tier%20in%20({_names(chance, 1000)})",
    lambda chance: "/v3/apps?label_selector="
    + ",".join(f"!key-{chance.getrandbits(32):x}" for _ in range(chance.randint(1, 100))),
    lambda chance: f"/v3/apps?per_page={chance.choice((50, 500, 5000))}&order_by=name",
    lambda chance: f"/v3/spaces?names={_names(chance, 2000)}",
    lambda chance: f"/v3/routes?hosts={_names(chance, 2000)}",
    lambda chance: f"/v3/processes?app_guids={_guids(chance, 1000)}",
    lambda chance: f"/v3/audit_events?target_guids={_guids(chance, 1000)}",
    lambda chance: f"/v3/apps?include=space.organization&page={chance.randint(1, 40)}",
)
