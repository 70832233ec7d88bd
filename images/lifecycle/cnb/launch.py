"""Processes and labels from a buildpack's launch.toml."""

import os
import re
from dataclasses import dataclass, field, replace

import toml_files
from report import BUILD, Failure, say

TYPE = re.compile(r"[A-Za-z0-9._-]{1,255}")


@dataclass
class Process:
    """A process that the droplet can start: the words of its command, then those that its buildpack lets others replace."""

    type: str
    command: list
    args: list
    direct: bool
    buildpack: str
    working_dir: str = ""

    @property
    def words(self):
        return self.command + self.args


@dataclass
class Launch:
    """What all launch.toml files say; a later buildpack replaces an earlier one's process of the same type."""

    processes: dict = field(default_factory=dict)
    labels: list = field(default_factory=list)
    default: str = ""

    def read(self, folder, buildpack):
        """Adds a buildpack's file."""
        shown = f"launch.toml of {buildpack}"
        content = toml_files.read(os.path.join(folder, "launch.toml"), BUILD, shown)
        for one in toml_files.tables(content, "labels", BUILD, shown):
            self.labels.append({key: toml_files.text(one, key, BUILD, shown) for key in ("key", "value")})
        entries = toml_files.tables(content, "processes", BUILD, shown)
        if sum(entry.get("default") is True for entry in entries) > 1:
            raise Failure(BUILD, f"{shown}: only one process can be the default")
        for entry in entries:
            self.add(read_process(entry, buildpack, shown), entry.get("default") is True)

    def add(self, process, is_default):
        if is_default:
            self.default = process.type
        elif process.type == self.default:
            self.default = ""
            say(f"Warning: {process.type} was the default process; the one of {process.buildpack} replaces it and is not")
        self.processes[process.type] = process

    def all(self):
        """All processes by type. Cloud Foundry starts `web`: without one the default process, or the only one, is it, and comes last: of
        two processes with the same command the launcher takes the first."""
        found = [self.processes[name] for name in sorted(self.processes)]
        chosen = self.processes.get(self.default) or (found[0] if len(found) == 1 else None)
        if "web" not in self.processes and chosen:
            found.append(replace(chosen, type="web"))
        return found


def read_process(entry, buildpack, shown):
    name = toml_files.text(entry, "type", BUILD, shown)
    if not TYPE.fullmatch(name):
        raise Failure(BUILD, f"{shown}: {name!r} is not a process type")
    shown = f"{shown}, process {name}"
    # Up to API 0.8 the command is one text, run by a shell unless direct; later it is a list and always direct.
    lists = buildpack.api >= (0, 9)
    command = entry.get("command")
    if not isinstance(command, list if lists else str) or not command:
        raise Failure(BUILD, f"{shown}: command is not {'a list of texts' if lists else 'a text'}, as API {buildpack.api_text} wants")
    if lists and "direct" in entry:
        raise Failure(BUILD, f"{shown}: the key direct is not supported since API 0.9")
    words = toml_files.texts(entry, "command", BUILD, shown) if lists else [toml_files.text(entry, "command", BUILD, shown)]
    return Process(
        name, words, toml_files.texts(entry, "args", BUILD, shown), lists or entry.get("direct") is True, buildpack.id,
        toml_files.text(entry, "working-dir", BUILD, shown, "") if buildpack.api >= (0, 8) else "",
    )
