"""The machine: its tools, its ports, and what its kernel tells about processes."""

import math
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from report import NotMeasured

TICKS = os.sysconf("SC_CLK_TCK")
PACKAGES = {"nginx": "nginx-light", "wrk": "wrk", "docker-registry": "docker-registry"}


def find(tool: str) -> str | None:
    """A program, also where only root has it on the PATH."""
    return shutil.which(tool) or shutil.which(tool, path="/usr/sbin:/sbin")


def need(tool: str) -> str:
    """The same, or the reason for a row without figures."""
    found = find(tool)
    if found is None:
        raise NotMeasured(f"no {tool}")
    return found


def install_missing() -> None:
    """On Debian, and as root: installs the peer and the load generator; else rows go without them."""
    packages = [package for tool, package in PACKAGES.items() if find(tool) is None]
    if not packages or os.geteuid() != 0 or find("apt-get") is None:
        return
    # The peer's package would start a server of its own on port 80.
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
        policy.chmod(0o755)
    install = ["install", "-qq", "-y", "--no-install-recommends", *packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for words in (["update", "-qq"], install):
            command = ["apt-get", *words]
            subprocess.run(command, env=environment, capture_output=True, timeout=180, check=False)
    except subprocess.TimeoutExpired:
        print(f"bench: installing {' '.join(packages)} takes too long", file=sys.stderr)
    finally:
        if ours:
            policy.unlink()


def facts(cflite: str) -> dict[str, Any]:
    """What the figures depend on."""
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    version = subprocess.run(
        [cflite, "--version"], capture_output=True, text=True, timeout=10, check=True
    )
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "version": version.stdout.strip(),
        "cpu": cpu,
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "load_at_start": os.getloadavg()[0],
    }


def free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        listener.close()
    return ports


def processes_of(pid: int) -> list[int]:
    """A process and all that descend from it."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(_stat_fields(int(entry.name))[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    family = [pid]
    for member in family:
        family.extend(child for child, parent in parents.items() if parent == member)
    return family


def _stat_fields(pid: int) -> list[str]:
    """/proc/PID/stat behind the name, which may hold spaces: state, parent, …"""
    text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    return text.rpartition(")")[2].split()


def runs(pid: int) -> bool:
    """Whether a process runs; one that ended may still wait for its parent."""
    try:
        return _stat_fields(pid)[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def cpu_seconds(pid: int) -> float:
    """User and system time of a process tree so far, all threads."""
    total = 0
    for member in processes_of(pid):
        fields = _stat_fields(member)
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def processor_seconds() -> tuple[float, float]:
    """Time that all processors did not idle so far, and how much of it others took."""
    line = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0]
    user, nice, system, _idle, _wait, irq, soft_irq, stolen, *_guests = map(int, line.split()[1:])
    return (user + nice + system + irq + soft_irq + stolen) / TICKS, stolen / TICKS


def memory(pid: int) -> dict[str, float]:
    """Megabytes of one process: resident, the most it was, and its proportional share."""
    status = _kilobytes(Path(f"/proc/{pid}/status"))
    shares = _kilobytes(Path(f"/proc/{pid}/smaps_rollup"))
    return {
        "rss": status["VmRSS"] / 1024,
        "peak": status["VmHWM"] / 1024,
        "pss": shares["Pss"] / 1024,
    }


def _kilobytes(path: Path) -> dict[str, int]:
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if value.endswith(" kB"):
            found[name] = int(value.split()[0])
    return found


def pin(pid: int, cpus: set[int]) -> None:
    """Keeps every thread of a process tree on these processors."""
    for member in processes_of(pid):
        for thread in Path(f"/proc/{member}/task").iterdir():
            try:
                os.sched_setaffinity(int(thread.name), cpus)
            except ProcessLookupError:
                continue


def percentile(samples: list[float], percent: float) -> float:
    """Nearest rank."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def wait_until(
    what: str, holds: Callable[[], bool], limit: float = 60.0, every: float = 0.01
) -> None:
    """Asks again and again; gives up after `limit` seconds."""
    end = time.monotonic() + limit
    while not holds():
        if time.monotonic() > end:
            raise NotMeasured(f"{what}: not within {limit:.0f} s")
        time.sleep(every)
