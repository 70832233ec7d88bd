"""Prints what dep or glide locked as arguments of `go get`: package@revision, one a line.

usage: locked.py FOLDER Gopkg.lock|glide.lock
Without a lock file the constraints beside it are used.
"""
import json
import os
import re
import subprocess
import sys
import tomllib


def read_toml(path):
    with open(path, "rb") as file:
        return tomllib.load(file)


def read_yaml(path):
    with open(path, "rb") as file:
        return json.loads(subprocess.run(["/tmp/lifecycle/yaml2json"], stdin=file, capture_output=True, check=True).stdout)


def release(constraint):
    """The newest release that a constraint allows: v1 for 1.2.3 and ^1.2, v0.2 for ^0.2.3, v1.2 for ~1.2.3, v1.2.3 for =1.2.3."""
    found = re.fullmatch(r"\s*([~^=]?)\s*v?(\d+)(\.\d+)?(\.\d+)?(-\S+)?\s*", constraint)
    if not found:
        return constraint or "latest"
    kind, major, minor, patch, label = (part or "" for part in found.groups())
    if kind == "=":
        return f"v{major}{minor or '.0'}{patch or '.0'}{label}"
    return f"v{major}{minor}" if kind == "~" or major == "0" else f"v{major}"


def locked(project):
    """A release, which every proxy knows, or a revision."""
    version = project.get("version", "")
    return version if re.fullmatch(r"v\d+\.\d+\.\d+", version) else project.get("revision") or version


def dep(folder, lock):
    if os.path.exists(lock):
        return [(project["name"], locked(project)) for project in read_toml(lock).get("projects", [])]
    rules = read_toml(os.path.join(folder, "Gopkg.toml"))
    return [(rule["name"], rule.get("revision") or rule.get("branch") or release(rule.get("version", "")))
            for kind in ("constraint", "override") for rule in rules.get(kind, [])]


def glide(folder, lock):
    if os.path.exists(lock):
        return [(entry["name"], entry["version"]) for entry in read_yaml(lock).get("imports") or []]
    return [(entry["package"], release(entry.get("version") or "")) for entry in read_yaml(os.path.join(folder, "glide.yaml")).get("import") or []]


folder, name = sys.argv[1:]
reader = dep if name == "Gopkg.lock" else glide
for package, version in reader(folder, os.path.join(folder, name)):
    print(f"{package}@{version}")
