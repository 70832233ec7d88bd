"""Finds the buildpacks in what was given: an image as an OCI layout (a folder, or a tar of it as in .cnb files), or a tar of a buildpack's
folder. Nothing is written outside of the folder that something is unpacked to."""

import glob
import json
import os
import platform
import shutil
import tarfile

import buildpacks
import folders
from report import DOWNLOAD, Failure, one_line

MAX_ENTRIES = 300_000
MAX_BYTES = 8 << 30
MAX_DOCUMENT = 8 << 20
ZSTD = b"\x28\xb5\x2f\xfd"
ROOT = "cnb/buildpacks/"
# A file NAME in a layer's folder is hidden by an entry with this before its name, all files by the name .wh..wh..opq.
WHITEOUT = ".wh."
LABEL = "io.buildpacks.buildpackage.metadata"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def architecture():
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def open_given(path, shown, store):
    """Unpacks what was given and adds its buildpacks to the store; gives the one that stands for all of it."""
    folder = path
    if not os.path.exists(path):
        raise Failure(DOWNLOAD, f"the files of {shown} are missing")
    if os.path.isfile(path):
        folder = path + ".unpacked"
        unpack(path, folder, shown)
        os.remove(path)
    if os.path.isfile(os.path.join(folder, "index.json")):
        return from_layout(folder, shown, store)
    return from_folder(folder, shown, store)


def from_folder(folder, shown, store):
    """A plain buildpack; archives of code hosts have one top folder."""
    if not os.path.isfile(os.path.join(folder, "buildpack.toml")):
        nested = glob.glob(os.path.join(glob.escape(folder), "*", "buildpack.toml"))
        if len(nested) != 1:
            raise Failure(DOWNLOAD, f"{shown} is neither an image of buildpacks nor the folder of one: there is no buildpack.toml")
        folder = os.path.dirname(nested[0])
    take_platform(folder)
    found = buildpacks.read(folder)
    store.add(found)
    return found


def take_platform(folder):
    """A folder for several platforms has the files of each in <os>/<architecture>: those for this machine move to its root."""
    own = os.path.join(folder, "linux", architecture())
    if os.path.isdir(os.path.join(own, "bin")) and not os.path.lexists(os.path.join(folder, "bin")):
        for name in os.listdir(own):
            if not os.path.lexists(os.path.join(folder, name)):
                os.rename(os.path.join(own, name), os.path.join(folder, name))


def from_layout(layout, shown, store):
    """The buildpacks of an image: /cnb/buildpacks/<id>/<version> in its layers."""
    manifest = choose_manifest(layout, document(os.path.join(layout, "index.json"), shown), shown)
    root = layout + ".root"
    os.makedirs(root)
    for layer in manifest.get("layers", []):
        unpack(blob(layout, layer, shown), root, shown, layer_below=ROOT)
    paths = sorted(glob.glob(os.path.join(glob.escape(root), ROOT, "*", "*", "buildpack.toml")))
    if not paths:
        raise Failure(DOWNLOAD, f"{shown} has no buildpacks: its layers have nothing in /{ROOT}")
    found = [buildpacks.read(os.path.dirname(path)) for path in paths]
    for one in found:
        store.add(one)
    config = document(blob(layout, manifest.get("config") or {}, shown), shown)
    # What was unpacked is not kept twice: it counts for the limit of the disk.
    folders.remove(layout)
    return main_of(found, config, shown)


def main_of(found, config, shown):
    """The one that the image's label names; without a label the only one, or the only composite one."""
    labels = (config.get("config") or {}).get("Labels") or {}
    try:
        wanted = json.loads(labels.get(LABEL) or "{}")
    except ValueError as error:
        raise Failure(DOWNLOAD, f"{shown}: the label {LABEL} is not JSON") from error
    if isinstance(wanted, dict) and wanted.get("id"):
        same = [one for one in found if one.id == wanted["id"] and wanted.get("version") in (None, "", one.version)]
    else:
        same = found if len(found) == 1 else [one for one in found if one.order]
    if len(same) != 1:
        names = ", ".join(map(str, found))
        raise Failure(DOWNLOAD, f"{shown}: it is not clear which of its buildpacks to use ({names}): the label {LABEL} must name one")
    return same[0]


def choose_manifest(layout, index, shown):
    """The manifest for this machine; indexes may hold indexes."""
    for _ in range(3):
        entries = [one for one in index.get("manifests", []) if isinstance(one, dict)]
        fitting = [one for one in entries if (one.get("platform") or {}).get("architecture") == architecture()]
        if len(entries) != 1 and not fitting:
            raise Failure(DOWNLOAD, f"{shown} has no image for linux/{architecture()}")
        index = document(blob(layout, fitting[0] if fitting else entries[0], shown), shown)
        if "manifests" not in index:
            return index
    raise Failure(DOWNLOAD, f"{shown} has indexes that hold indexes")


def blob(layout, descriptor, shown):
    """The file of a descriptor."""
    kind, _, digits = str(descriptor.get("digest", "")).partition(":")
    path = os.path.join(layout, "blobs", kind, digits)
    if not kind.isalnum() or not digits.isalnum() or not os.path.isfile(path):
        raise Failure(DOWNLOAD, f"{shown} is not whole: a part of the image is missing ({kind}:{digits[:12]})")
    return path


def document(path, shown):
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read(MAX_DOCUMENT))
    except (OSError, ValueError) as error:
        raise Failure(DOWNLOAD, f"{shown} is not an image: {one_line(error)}") from error
    if not isinstance(found, dict):
        raise Failure(DOWNLOAD, f"{shown} is not an image: {os.path.basename(path)} is not an object")
    return found


def unpack(path, folder, shown, layer_below=None):
    """Unpacks a tar, compressed or not. Of a layer only what is below a prefix is unpacked; it may hide what earlier layers hold."""
    with open(path, "rb") as file:
        if file.read(4) == ZSTD:
            raise Failure(DOWNLOAD, f"{shown} is compressed with zstd, which this stack cannot unpack: publish it with gzip")
    os.makedirs(folder, exist_ok=True)
    count = total = 0
    try:
        with tarfile.open(path) as archive:
            for entry in archive:
                count, total = count + 1, total + entry.size
                if count > MAX_ENTRIES or total > MAX_BYTES:
                    raise Failure(DOWNLOAD, f"{shown} has more than {MAX_ENTRIES} files or {MAX_BYTES >> 30} GB")
                name = inner(entry.name, shown)
                if layer_below is not None and os.path.basename(name).startswith(WHITEOUT):
                    hide(name, folder, shown)
                elif name and name.startswith(layer_below or ""):
                    place(archive, entry, name, folder, shown)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise Failure(DOWNLOAD, f"{shown} is not a tar archive, or a broken one: {one_line(error)}") from error


def inner(name, shown):
    """A name in an archive, relative to its root."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Failure(DOWNLOAD, f"{shown} has an entry outside of its folder: {name}")
    return "/".join(parts)


def place(archive, entry, name, folder, shown):
    """Writes one entry."""
    target = os.path.join(folder, name)
    parent = parent_of(name, folder, shown)
    if entry.isdir() and os.path.isdir(target) and not os.path.islink(target):
        return
    folders.remove(target)
    if entry.isdir():
        os.makedirs(target)
    elif entry.issym():
        os.makedirs(parent, exist_ok=True)
        os.symlink(entry.linkname, target)
    elif entry.islnk():
        link(os.path.join(folder, inner(entry.linkname, shown)), target, folder, shown)
    elif entry.isfile():
        os.makedirs(parent, exist_ok=True)
        with archive.extractfile(entry) as source, open(target, "wb") as file:
            shutil.copyfileobj(source, file)
        os.chmod(target, entry.mode & 0o777 | 0o600)


def link(source, target, folder, shown):
    if not within(os.path.realpath(source), folder):
        raise Failure(DOWNLOAD, f"{shown} has a link to a file outside of its folder")
    os.makedirs(os.path.dirname(target), exist_ok=True)
    os.link(source, target, follow_symlinks=False)


def parent_of(name, folder, shown):
    """The folder of an entry: a link of an earlier entry must not lead elsewhere."""
    parent = os.path.dirname(os.path.join(folder, name))
    if not within(os.path.realpath(parent), folder):
        raise Failure(DOWNLOAD, f"{shown} has an entry below a link: {name}")
    return parent


def hide(name, folder, shown):
    """A whiteout: what it names in earlier layers is gone."""
    parent = parent_of(name, folder, shown)
    hidden = os.path.basename(name).removeprefix(WHITEOUT)
    if hidden == WHITEOUT + ".opq":
        for other in os.listdir(parent) if os.path.isdir(parent) else []:
            folders.remove(os.path.join(parent, other))
    elif hidden in ("", ".", ".."):
        raise Failure(DOWNLOAD, f"{shown} has an entry outside of its folder: {name}")
    else:
        folders.remove(os.path.join(parent, hidden))


def within(path, folder):
    root = os.path.realpath(folder)
    return path == root or path.startswith(root + os.sep)
