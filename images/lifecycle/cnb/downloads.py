"""Downloads archives of buildpacks by HTTP."""

import json
import os
import re
import subprocess
import urllib.parse

from report import DOWNLOAD, GENERIC, Failure, one_line, say

SECONDS = 600
MAX_BYTES = 4 << 30
CREDENTIALS = "CNB_REGISTRY_CREDS"


def redacted(url):
    """A text without the credentials of its URLs: those before the host, and all of a query, which may be a signature."""
    url = re.sub(r"(://)[^/\s'\"]*@", r"\1[redacted]@", url)
    return re.sub(r"(://[^\s'\"?]*\?)[^\s'\"#]*", r"\1[redacted]", url)


def fetch(url, path, container):
    """Downloads a URL to a file."""
    shown = redacted(url)
    say(f"Downloading buildpack from {shown}...")
    limits = ["--max-time", str(SECONDS), "--max-filesize", str(MAX_BYTES)]
    done = subprocess.run(
        ["curl", "--globoff", "--fail", "--silent", "--show-error", "--location", *limits, "--config", "-", "--output", path],
        input=options(url, container), capture_output=True, text=True, check=False,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason was given"]
        raise Failure(
            DOWNLOAD,
            f"the buildpack from {shown} cannot be fetched: {one_line(redacted(lines[-1]))}. Check the URL and the network, or upload the "
            "buildpack once with cf create-buildpack NAME FILE 1 --lifecycle cnb and name it instead",
        )
    if not os.path.isfile(path):
        raise Failure(DOWNLOAD, f"the buildpack from {shown} is empty")


def options(url, container):
    """What curl reads from its standard input, so that no password is in a list of processes."""
    lines = [f"url = {quoted(url)}"]
    entry = credentials(container).get(host_of(url))
    if isinstance(entry, dict) and entry.get("token"):
        lines.append("header = " + quoted(f"Authorization: Bearer {entry['token']}"))
    elif isinstance(entry, dict) and entry.get("username"):
        lines.append("user = " + quoted(f"{entry['username']}:{entry.get('password', '')}"))
    return "\n".join(lines) + "\n"


def host_of(url):
    """The host with its port, unless it is the usual one."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError as error:
        # What Python says shows parts of a password.
        raise Failure(DOWNLOAD, f"{redacted(url)} is not a URL") from error
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return (parts.hostname or "") + (f":{port}" if port not in (None, usual) else "")


def quoted(text):
    """In quotes as curl reads them: as in JSON."""
    return json.dumps(text, ensure_ascii=False)


def credentials(container):
    try:
        found = json.loads(container.get(CREDENTIALS) or "{}")
    except ValueError as error:
        raise Failure(GENERIC, "the credentials for buildpacks are not JSON") from error
    return found if isinstance(found, dict) else {}
