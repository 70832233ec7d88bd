"""Lists of 10 000 routes and of 100 000 audit events."""

import random
import sqlite3
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import rows_lists
from cloud import Platform
from report import Row

ROUTES = 10_000
EVENTS = 100_000
TYPES = ("audit.app.create", "audit.app.update", "audit.app.start", "audit.app.ssh-authorized")
# Events of one app, at most.
EVENTS_OF_ONE = 20


def lists(cflite: str, temp: Path) -> list[Row]:
    """GET /v3/routes and GET /v3/audit_events over pages, orders and filters."""
    platform = Platform(cflite, temp / "routes-events")
    try:
        platform.up()
        space = platform.space()
        organization = platform.api("GET", f"/v3/spaces/{space}")["relationships"]["organization"]
        domain = platform.api("GET", "/v3/domains")["resources"][0]["guid"]
        platform.down()
        chance = random.Random(3)
        targets = _fill(platform.data_dir / "cflite.db", space, organization["data"]["guid"], domain)
        platform.up()
        platform.rest()
        places = (space, organization["data"]["guid"], domain)
        kinds = {
            "routes": _routes(chance, *places),
            "audit_events": _events(chance, *places[:2], targets),
        }
        times = {
            resource: {
                kind: rows_lists.measure(platform, resource, query) for kind, query in queries.items()
            }
            for resource, queries in kinds.items()
        }
    finally:
        platform.remove()
    return [
        rows_lists.row("routes", ROUTES, times["routes"]),
        rows_lists.row("audit_events", EVENTS, times["audit_events"]),
    ]


def _fill(database: Path, space: str, organization: str, domain: str) -> list[str]:
    """Writes routes and events into the database of a stopped platform; gives the events' targets."""
    chance = random.Random(4)
    now = time.time_ns() // 1000

    def guid() -> str:
        return str(uuid.UUID(int=chance.getrandbits(128), version=4))

    targets = [guid() for _ in range(EVENTS // EVENTS_OF_ONE)]
    routes = [
        (guid(), space, domain, f"host-{number}", now - number * 60_000_000, now - number)
        for number in range(ROUTES)
    ]
    events = [
        (
            guid(),
            TYPES[number % len(TYPES)],
            chance.choice(targets),
            space,
            organization,
            now - (EVENTS - number) * 1_000_000,
        )
        for number in range(EVENTS)
    ]
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "insert into routes (guid, space_guid, domain_guid, host, created_at, updated_at)"
            " values (?, ?, ?, ?, ?, ?)",
            routes,
        )
        connection.executemany(
            "insert into audit_events (guid, type, actor_guid, actor_type, actor_name, target_guid,"
            " target_type, target_name, space_guid, organization_guid, created_at)"
            " values (?, ?, 'bench', 'user', 'bench', ?, 'app', 'bench', ?, ?, ?)",
            events,
        )
    return targets


def _page(chance: random.Random, count: int) -> str:
    return f"&page={chance.randint(1, max(1, count // rows_lists.PAGE))}"


def _routes(
    chance: random.Random, space: str, organization: str, domain: str
) -> dict[str, Callable[[], str]]:
    """Queries of routes by kind."""
    return {
        "any page": lambda: _page(chance, ROUTES),
        "last page": lambda: f"&page={ROUTES // rows_lists.PAGE}",
        "order_by=-created_at": lambda: f"&order_by=-created_at{_page(chance, ROUTES)}",
        "order_by=updated_at": lambda: f"&order_by=updated_at{_page(chance, ROUTES)}",
        "hosts": lambda: f"&hosts=host-{chance.randrange(ROUTES)}",
        "hosts and domain": lambda: (
            f"&domain_guids={domain}&hosts=host-{chance.randrange(ROUTES)}&paths="
        ),
        "space_guids": lambda: f"&space_guids={space}{_page(chance, ROUTES)}",
        "organization_guids": lambda: f"&organization_guids={organization}{_page(chance, ROUTES)}",
        "include=domain,space": lambda: f"&include=domain,space{_page(chance, ROUTES)}",
    }


def _events(
    chance: random.Random, space: str, organization: str, targets: list[str]
) -> dict[str, Callable[[], str]]:
    """Queries of events by kind."""
    return {
        "first page, newest first": lambda: "&order_by=-created_at",
        "any page": lambda: _page(chance, EVENTS),
        "last page": lambda: f"&page={EVENTS // rows_lists.PAGE}",
        "target_guids, newest first": lambda: (
            f"&target_guids={chance.choice(targets)}&order_by=-created_at"
        ),
        "types": lambda: f"&types={chance.choice(TYPES)}{_page(chance, EVENTS // len(TYPES))}",
        "space_guids": lambda: f"&space_guids={space}{_page(chance, EVENTS)}",
        "organization_guids": lambda: f"&organization_guids={organization}{_page(chance, EVENTS)}",
    }
