#!/usr/bin/env python3
"""Measures a cflite binary against its budgets, and against nginx and the docker CLI in the same run.

usage: tests/bench/bench.py --cflite PATH [--only WORD …]

Everything runs on loopback, in data dirs and on ports of its own, and is removed at the end, also
after Ctrl-C. Rows named "sustained …" take minutes each and are measured only when a word of --only
says so. Figures mean little on a busy machine: compare the ratios. A figure that cannot be had
says why and stops nothing. Prints one table; all samples go to bench/latest.json.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import containers
import machine
import report
import rows_apps
import rows_console
import rows_development
import rows_lists
import rows_logs
import rows_memory
import rows_platform
import rows_registry
import rows_router
import rows_routes_events
import rows_services
import rows_sustained
from cloud import App, Platform
from report import NotMeasured, Row

ROOT = Path(__file__).resolve().parents[2]
LATEST = ROOT / "bench" / "latest.json"
# What is left of nine minutes is for cleaning up.
SECONDS = 505
# With rows that are measured on request.
SECONDS_ON_REQUEST = 1500
BUILD_SECONDS = 1800
BUSY = 0.5


class OutOfTime(NotMeasured):
    """The whole run has taken as long as it may."""


class Bench:
    """One run: its platform, what was pushed to it, and the rows so far."""

    def __init__(self, cflite: str, temp: Path, only: list[str]) -> None:
        self.cflite = cflite
        self.temp = temp
        self.only = only
        self.rows: list[Row] = []
        self._platform = Platform(cflite, temp / "main")
        self._started = False
        self._apps: list[App] = []
        self._upstream: App | None = None
        self._out_of_time: OutOfTime | None = None

    def run(self) -> None:
        """Every measurement, one after the other."""
        measurements: list[tuple[str, Callable[[], Row | list[Row]]]] = [
            ("binary, stripped", lambda: rows_platform.binary_size(self.cflite, self.temp)),
            ("boot", lambda: rows_platform.boot(self.cflite, self.temp)),
            ("idle", lambda: rows_platform.idle(self.platform())),
            ("push static, warm", self._warm_push),
            ("restart", lambda: rows_apps.restart(self.platform(), self.apps(1)[0])),
            ("scale 1 → 10", lambda: rows_apps.scale(self.platform(), self.apps(1)[0], self.temp)),
            ("registry", lambda: rows_registry.throughput(self.platform(), self.temp)),
            ("push of a cached image", lambda: rows_registry.cached_push(self.platform(), self.temp)),
            ("live reload", lambda: rows_development.saves(self.platform(), self.temp)),
            ("exec", lambda: rows_development.command(self.platform(), self.temp)),
            ("data services", lambda: rows_services.creation(self.platform())),
            ("20 apps", lambda: rows_platform.many_apps(self.platform(), self.apps(20))),
            ("boot, 20 apps", lambda: rows_platform.boot_with_apps(self.platform(), self.apps(20))),
            ("router", self._throughput),
            ("idle connections", self._idle_connections),
            ("logs", lambda: rows_logs.flood(self.platform(), containers.mark_of(self.temp))),
            ("lists", lambda: rows_lists.lists(self.cflite, self.temp)),
            ("lists of routes and events", lambda: rows_routes_events.lists(self.cflite, self.temp)),
            ("console", lambda: rows_console.pages(self.cflite, self.temp)),
            ("memory after work", lambda: rows_memory.memory(self.cflite, self.temp)),
        ]
        # These take minutes each: only by name.
        on_request: list[tuple[str, Callable[[], Row | list[Row]]]] = [
            ("sustained log of one app", lambda: rows_sustained.one_app(self.platform())),
            ("sustained logs of 20 apps", lambda: rows_sustained.many_apps(self.platform())),
            ("sustained log, cflite killed", lambda: rows_sustained.killed(self.platform())),
        ]
        for what, measure in measurements:
            if not self.only or any(word in what for word in self.only):
                self._measure(what, measure)
        for what, measure in on_request:
            if any("sustained" in word and word in what for word in self.only):
                self._measure(what, measure)

    def platform(self) -> Platform:
        """The platform that most rows share, started when it is first needed."""
        if not self._started:
            self._platform.up()
            self._started = True
        return self._platform

    def apps(self, count: int) -> list[App]:
        """So many running apps, the static sample each."""
        while len(self._apps) < count:
            self._apps.append(rows_apps.push_sample(self.platform(), len(self._apps) + 1))
        return self._apps[:count]

    def upstream(self) -> App:
        """The app that the router is measured with."""
        if self._upstream is None:
            self._upstream = rows_router.push_upstream(self.platform())
        return self._upstream

    def clean_up(self) -> None:
        """Removes what the run made; says what it could not remove."""
        removals: list[Callable[[], None]] = [
            Platform(self.cflite, data_dir).remove
            for data_dir in sorted(self.temp.iterdir())
            if (data_dir / "platform-id").exists()
        ]
        for remove in [lambda: containers.remove_marked(containers.mark_of(self.temp)), *removals]:
            try:
                remove()
            except Exception as error:  # what follows has to be removed all the same
                print(f"bench: not removed: {error}", file=sys.stderr)
        shutil.rmtree(self.temp, ignore_errors=True)

    def _measure(self, what: str, measure: Callable[[], Row | list[Row]]) -> None:
        print(f"… {what}", file=sys.stderr, flush=True)
        begun = time.monotonic()
        try:
            if self._out_of_time:
                raise self._out_of_time
            found = measure()
            found = found if isinstance(found, list) else [found]
            self.rows.extend(found)
            if self.only:
                for row in found:
                    print(f"  {' | '.join(row.cells())}\n  {row.samples}", file=sys.stderr)
        except OutOfTime as error:
            self._out_of_time = error
            self.rows.append(report.not_measured(what, error))
        except Exception as error:  # a row that failed says why; the others go on
            self.rows.append(report.not_measured(what, error))
        print(f"  {time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)

    def _warm_push(self) -> list[Row]:
        return rows_apps.warm_push(self.platform(), self.apps(1)[0], self.apps, self.temp)

    def _throughput(self) -> list[Row]:
        return rows_router.throughput(self.platform(), self.upstream(), self.temp)

    def _idle_connections(self) -> list[Row]:
        return rows_router.idle_connections(self.platform(), self.upstream())


def prepare(cflite: str, temp: Path) -> None:
    """What has to be there before the time runs: tools, and the stack images, which take minutes."""
    machine.install_missing()
    platform = Platform(cflite, temp / "main")
    try:
        images = json.loads(platform.command("images", "list", "--json"))
        current = {image["role"] for image in images if image["state"] == "up to date"}
        if not {"build", "run"} <= current:
            print("… building the stack images", file=sys.stderr, flush=True)
            platform.command("images", "build", limit=BUILD_SECONDS)
    except (NotMeasured, OSError) as error:
        print(f"bench: no stack images: {error}", file=sys.stderr)


def stop_in_time(_signal: int, _frame: FrameType | None) -> None:
    """Ends the measurement that runs when the time is over."""
    raise OutOfTime("the time of the whole run was over")


def interrupt(_signal: int, _frame: FrameType | None) -> None:
    """Ends the run as Ctrl-C does."""
    raise KeyboardInterrupt


def main() -> int:
    """Parses the words, measures, cleans up, prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cflite", required=True, type=Path, help="the binary to measure")
    parser.add_argument("--only", nargs="+", default=[], help="measure what has one of these words")
    arguments = parser.parse_args()
    cflite = str(arguments.cflite.resolve(strict=True))
    temp = Path(tempfile.mkdtemp(prefix="cflite-bench-"))
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGALRM, stop_in_time)
    interrupted = False
    bench = Bench(cflite, temp, arguments.only)
    facts = machine.facts(cflite)
    try:
        prepare(cflite, temp)
        on_request = any("sustained" in word for word in arguments.only)
        signal.alarm(SECONDS_ON_REQUEST if on_request else SECONDS)
        bench.run()
    except KeyboardInterrupt:
        interrupted = True
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("… cleaning up", file=sys.stderr, flush=True)
        bench.clean_up()
    print(report.table(bench.rows))
    print(
        f"\n{facts['version']}, {facts['cpus']} × {facts['cpu']}, "
        f"load {facts['load_at_start']:.1f} at the start"
    )
    if facts["load_at_start"] > BUSY:
        print("The machine was busy: the ratios hold better than the figures.")
    if not arguments.only and not interrupted:
        report.save(LATEST, facts, bench.rows)
    return 130 if interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
