"""The docker command line: containers of the platform, and the floor its figures stand on."""

import http.client
import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
from cloud import APP_LABEL, OWNER_LABEL, App, Platform

PORT = 8080


def docker(*words: str, limit: float = 60) -> str:
    """Runs a docker command; gives what it printed."""
    command = [machine.need("docker"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"docker {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def of_platform(platform: Platform) -> set[str]:
    """Ids of the platform's running containers."""
    return set(docker("ps", "-q", "--filter", f"label={OWNER_LABEL}={platform.id}").split())


def of_app(app: App) -> list[str]:
    """Ids of an app's containers, whatever their state."""
    return docker("ps", "-a", "-q", "--filter", f"label={APP_LABEL}={app.guid}").split()


def inspect(container: str) -> dict[str, Any]:
    """What the daemon knows of a container."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", container))
    return found[0]


def address(container: str) -> str:
    """Its IP."""
    networks = inspect(container)["NetworkSettings"]["Networks"].values()
    return next(str(network["IPAddress"]) for network in networks if network["IPAddress"])


def mark_of(temp: Path) -> str:
    """The label of all containers that a run makes itself; the run is named by its folder."""
    return f"cflite.bench={temp.name}"


@dataclass
class Twin:
    """The words that make a container like an app's instance, without the platform."""

    image: str
    options: list[str]
    command: list[str]
    mark: str

    @classmethod
    def of(cls, app: App, temp: Path) -> "Twin":
        """Copies what an instance of the app is made of; its lifecycle scripts come from a mount."""
        container = of_app(app)[0]
        known = inspect(container)
        config = known["Config"]
        if not (temp / "lifecycle").exists():
            docker("cp", f"{container}:/tmp/lifecycle", str(temp))
        words = [*(config["Entrypoint"] or []), *(config["Cmd"] or [])]
        memory = str(known["HostConfig"]["Memory"])
        options = ["--init", "--memory", memory, "--memory-swap", memory]
        options += ["--user", config["User"], "--workdir", config["WorkingDir"]]
        options += ["--volume", f"{temp / 'lifecycle'}:/tmp/lifecycle:ro"]
        options += ["--entrypoint", words[0]]
        for variable in config["Env"]:
            options += ["--env", variable]
        return cls(known["Image"], options, words[1:], mark_of(temp))

    def words(self, *more: str) -> list[str]:
        """Arguments of `docker create` and `docker run`."""
        return [*more, "--label", self.mark, *self.options, self.image, *self.command]

    def start_one(self) -> float:
        """Seconds of create, start, and the wait for the first 200."""
        begun = time.monotonic()
        container = docker("create", *self.words())
        docker("start", container)
        _wait_for_answer(container)
        return time.monotonic() - begun

    def start_many(self, count: int) -> tuple[float, float]:
        """Parallel `docker run -d`: seconds until all came back, and until all answer."""
        begun = time.monotonic()
        command = [machine.need("docker"), "run", "-d", *self.words()]
        starting = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(count)
        ]
        outputs = [process.communicate(timeout=60) for process in starting]
        returned = time.monotonic() - begun
        for process, (_output, errors) in zip(starting, outputs):
            if process.returncode != 0:
                raise RuntimeError(f"docker run: {errors.strip()}")
        for output, _errors in outputs:
            _wait_for_answer(output.strip())
        return returned, time.monotonic() - begun

    def remove(self) -> None:
        """Removes every container made from these words."""
        remove_marked(self.mark)


def remove_marked(label: str) -> None:
    """Removes containers by label."""
    found = docker("ps", "-a", "-q", "--filter", f"label={label}").split()
    if found:
        docker("rm", "-f", *found)


def _wait_for_answer(container: str) -> None:
    ip = address(container)

    def answers() -> bool:
        connection = http.client.HTTPConnection(ip, PORT, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    machine.wait_until("the container answers", answers, every=0.005)
