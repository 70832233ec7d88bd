"""Unpacks a toolchain of the Go module proxy, without what no build needs, and verifies it.

usage: unpack_toolchain.py ZIP NAME DIGEST FOLDER
The digest is that of Go's checksum database: h1: and the SHA-256, in base64, of a sorted list of all files with their SHA-256.
Exits 1 and leaves no folder when the zip has another one.
"""
import base64
import hashlib
import os
import shutil
import sys
import zipfile

UNUSED = {"api", "doc", "misc", "test"}


def needed(path):
    parts = path.split("/")
    return parts[0] not in UNUSED and "testdata" not in parts and not path.endswith("_test.go")


def unpack(archive, prefix, folder):
    """Writes the files and returns the digest of the whole archive."""
    sums = []
    for entry in archive.infolist():
        content = archive.read(entry)
        sums.append((entry.filename, hashlib.sha256(content).hexdigest()))
        path = entry.filename.removeprefix(prefix)
        if path == entry.filename or ".." in path.split("/") or not needed(path):
            continue
        target = os.path.join(folder, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        # A module's files have no modes.
        mode = 0o755 if path.startswith(("bin/", "pkg/tool/")) else 0o644
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(content)
    listing = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums))
    return "h1:" + base64.b64encode(hashlib.sha256(listing.encode()).digest()).decode()


def main():
    path, name, digest, folder = sys.argv[1:]
    try:
        with zipfile.ZipFile(path) as archive:
            found = unpack(archive, f"golang.org/toolchain@{name}/", folder)
    except (zipfile.BadZipFile, EOFError, ValueError):
        found = ""
    if found != digest:
        shutil.rmtree(folder, ignore_errors=True)
        sys.exit(1)


main()
