"""Buildpacks as their buildpack.toml describes them, and the store that finds them by id and version."""

import os
import re
from dataclasses import dataclass, field

import toml_files
from report import DOWNLOAD, Failure

# The buildpack APIs whose rules the phases follow.
OLDEST_API, NEWEST_API = (0, 7), (0, 12)
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
RESERVED = {"app", "config", "sbom"}


def escaped(name):
    """An id as the name of a folder."""
    return name.replace("/", "_")


@dataclass
class Element:
    """An entry of a group: which buildpack, and whether the group can do without it."""

    id: str
    version: str
    optional: bool = False

    def __str__(self):
        return f"{self.id}@{self.version}" if self.version else self.id


@dataclass
class Buildpack:
    """One component buildpack, or a composite one when it has an order."""

    folder: str
    api: tuple
    id: str
    version: str
    homepage: str | None = None
    clear_env: bool = False
    sbom_formats: list = field(default_factory=list)
    targets: list = field(default_factory=list)
    order: list = field(default_factory=list)

    def __str__(self):
        return f"{self.id}@{self.version}"

    @property
    def api_text(self):
        return ".".join(map(str, self.api))


def read(folder):
    """The buildpack in a folder."""
    shown = f"buildpack.toml in {os.path.basename(folder)}"
    path = os.path.join(folder, "buildpack.toml")
    if not os.path.isfile(path):
        raise Failure(DOWNLOAD, f"{os.path.basename(folder)} has no buildpack.toml: it is not a Cloud Native Buildpack")
    content = toml_files.read(path, DOWNLOAD, shown)
    about = toml_files.table(content, "buildpack", DOWNLOAD, shown)
    name = toml_files.text(about, "id", DOWNLOAD, shown)
    if not ID.fullmatch(name) or ".." in name.split("/") or name in RESERVED:
        raise Failure(DOWNLOAD, f"{shown}: {name!r} is not the id of a buildpack")
    shown = f"buildpack.toml of {name}"
    found = Buildpack(
        folder=folder,
        api=read_api(content, shown),
        id=name,
        version=toml_files.text(about, "version", DOWNLOAD, shown),
        homepage=about.get("homepage") if isinstance(about.get("homepage"), str) else None,
        clear_env=about.get("clear-env") is True,
        sbom_formats=toml_files.texts(about, "sbom-formats", DOWNLOAD, shown),
        targets=toml_files.tables(content, "targets", DOWNLOAD, shown),
        order=[read_group(group, shown) for group in toml_files.tables(content, "order", DOWNLOAD, shown)],
    )
    check_scripts(found, shown)
    return found


def read_api(content, shown):
    api = toml_files.text(content, "api", DOWNLOAD, shown)
    match = re.fullmatch(r"(\d{1,4})\.(\d{1,4})", api)
    numbers = tuple(map(int, match.groups())) if match else None
    if numbers is None or not OLDEST_API <= numbers <= NEWEST_API:
        oldest, newest = (".".join(map(str, one)) for one in (OLDEST_API, NEWEST_API))
        raise Failure(DOWNLOAD, f"{shown}: the buildpack API {api!r} is not supported: use one of {oldest} to {newest}")
    return numbers


def read_group(group, shown):
    entries = toml_files.tables(group, "group", DOWNLOAD, shown)
    return [
        Element(
            toml_files.text(entry, "id", DOWNLOAD, shown),
            toml_files.text(entry, "version", DOWNLOAD, shown, ""),
            entry.get("optional") is True,
        )
        for entry in entries
    ]


def check_scripts(buildpack, shown):
    if buildpack.order:
        return
    for script in ("bin/detect", "bin/build"):
        if not os.access(os.path.join(buildpack.folder, script), os.X_OK):
            raise Failure(DOWNLOAD, f"{shown}: {script} is missing or not executable")


class Store:
    """All buildpacks that were unpacked."""

    def __init__(self):
        self._all = {}

    def add(self, buildpack):
        # The first of two equal ones wins, as the order of the flags says.
        self._all.setdefault((buildpack.id, buildpack.version), buildpack)

    def find(self, element):
        """A group's buildpack; without a version the only one of that id."""
        if element.version:
            found = self._all.get((element.id, element.version))
        else:
            same = [one for one in self._all.values() if one.id == element.id]
            found = same[0] if len(same) == 1 else None
        if found is None:
            raise Failure(DOWNLOAD, f"the buildpack {element}, which an order names, is not in what was given")
        return found
