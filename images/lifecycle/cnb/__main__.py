"""The phases of staging with Cloud Native Buildpacks; ../cnb-builder describes arguments, inputs, outputs and exit codes."""

import argparse
import os
import sys
import tempfile

import archives
import downloads
from build import Builder, restore
from buildpacks import Element, Store
from detect import Detector
from export import Exporter
from report import BUILD, DETECT, DOWNLOAD, EXPORT, GENERIC, RESTORE, Failure, one_line, say

HOME = "/home/vcap"
APP = f"{HOME}/workspace"
LAYERS = f"{HOME}/layers"
CACHE = "/tmp/cache"
GIVEN = "/tmp/buildpacks"


class Parser(argparse.ArgumentParser):
    """Fails as all else does."""

    def error(self, message):
        raise Failure(GENERIC, f"cnb-builder: {message}")


def arguments():
    parser = Parser(prog="cnb-builder", allow_abbrev=False)
    parser.add_argument("--auto-detect", action="store_true")
    parser.add_argument("--pass-env-var", action="append", default=[])
    parser.add_argument("--buildpack", action="append", default=[])
    parser.add_argument("--download", action="append", default=[])
    return parser.parse_args()


def pair(text):
    left, separator, right = text.partition("=")
    if not separator or not left.isalnum():
        raise Failure(GENERIC, f"an argument is not KEY=VALUE: {downloads.redacted(text)}")
    return left, right


def open_all(wanted, container, store):
    """Unpacks all that was given; gives the elements that stand for each."""
    urls = dict(pair(text) for text in wanted.download)
    names = [pair(text) for text in wanted.buildpack]
    if not names:
        raise Failure(GENERIC, "no buildpack was given")
    say("Using buildpacks: " + ", ".join(downloads.redacted(name) for _, name in names))
    opened = {}
    # The platform brings no folder when all of them are downloaded.
    os.makedirs(GIVEN, exist_ok=True)
    for key, name in names:
        path = os.path.join(GIVEN, key)
        if key in urls and key not in opened:
            downloads.fetch(urls[key], path, container)
        if key not in opened:
            opened[key] = archives.open_given(path, downloads.redacted(name), store)
    chosen = (opened[key] for key, _ in names)
    return [Element(one.id, one.version) for one in chosen]


def write_platform(folder, names, container):
    """The user's variables as files, one each."""
    os.makedirs(os.path.join(folder, "env"))
    for name in names:
        if "/" in name or name in ("", ".", ".."):
            say(f"The variable {name} cannot be passed to buildpacks: its name is not the name of a file")
            continue
        with open(os.path.join(folder, "env", name), "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(container.get(name, ""))


class Staging:
    """One staging; `code` is the exit code for an unexpected error in its present phase."""

    def __init__(self, container, folder):
        self.container, self.folder, self.code = container, folder, GENERIC

    def run(self):
        wanted = arguments()
        platform = os.path.join(self.folder, "platform")
        write_platform(platform, wanted.pass_env_var, self.container)
        store = Store()
        self.code = DOWNLOAD
        elements = open_all(wanted, self.container, store)
        self.begin("DETECTING", DETECT)
        order = [[one] for one in elements] if wanted.auto_detect else [elements]
        group, entries = Detector(store, APP, platform, self.container).detect(order)
        self.begin("RESTORING", RESTORE)
        os.makedirs(LAYERS, exist_ok=True)
        restore(group, CACHE, LAYERS)
        self.begin("BUILDING", BUILD)
        launch = Builder(store, APP, platform, LAYERS, self.container).build(group, entries)
        self.begin("EXPORTING", EXPORT)
        Exporter(HOME, [store.find(one) for one in group], launch).export()

    def begin(self, name, code):
        self.code = code
        say(f"===> {name}")


def main():
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="cnb.") as folder:
        staging = Staging(dict(os.environ), folder)
        try:
            staging.run()
            return 0
        except Failure as failure:
            code, text = failure.code, str(failure)
        except Exception as error:  # One line with a code instead of a trace: the platform shows it to the user.
            code, text = staging.code, f"{type(error).__name__}: {one_line(error)}"
    with open("/tmp/failure", "w", encoding="utf-8", errors="replace") as file:
        file.write(text + "\n")
    print(f"ERROR: {text}", file=sys.stderr, flush=True)
    return code


sys.exit(main())
