"""Prints what is missing to build the source archives of a folder without isolation: a requirement each line.

usage: build_requires.py FOLDER
"""
import importlib.metadata
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

from pip._vendor.packaging.requirements import InvalidRequirement, Requirement


def pyproject(path):
    """The text of an archive's own pyproject.toml."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return next((archive.read(name) for name in archive.namelist() if name.count("/") == 1 and name.endswith("/pyproject.toml")), None)
    with tarfile.open(path) as archive:
        member = next((one for one in archive if one.name.removeprefix("./").count("/") == 1 and one.name.endswith("/pyproject.toml")), None)
        return archive.extractfile(member).read() if member else None


def is_met(text):
    try:
        wanted = Requirement(text)
        return (wanted.marker and not wanted.marker.evaluate()) or wanted.specifier.contains(importlib.metadata.version(wanted.name), prereleases=True)
    except (InvalidRequirement, importlib.metadata.PackageNotFoundError):
        return False


needed = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    if path.name.endswith((".tar.gz", ".tgz", ".zip", ".tar.bz2")):
        try:
            text = pyproject(path)
            requires = tomllib.loads(text.decode()).get("build-system", {}).get("requires") if text else None
        except (OSError, tarfile.TarError, zipfile.BadZipFile, tomllib.TOMLDecodeError, UnicodeDecodeError):
            requires = None
        needed.update(dict.fromkeys(requires or ["setuptools", "wheel"]))
print("\n".join(text for text in needed if not is_met(text)))
