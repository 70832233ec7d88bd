"""Detecting: runs bin/detect of the buildpacks in the order's groups until one group passes and its plan holds."""

import os
import subprocess
import tempfile

import environment
import plan
import toml_files
from archives import architecture
from report import DETECT, DOWNLOAD, Failure, one_line, say

PASS, FAIL, ERROR = 0, 100, -1
# How deep orders of composite buildpacks may be nested, and how much of a script's output is kept.
MAX_DEPTH = 20
MAX_OUTPUT = 1 << 20


def target_variables():
    """What the scripts are told of the machine their layers are for."""
    found = {"CNB_TARGET_OS": "linux", "CNB_TARGET_ARCH": architecture()}
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            pairs = dict(line.strip().split("=", 1) for line in file if "=" in line)
    except OSError:
        pairs = {}
    for key, name in (("ID", "CNB_TARGET_DISTRO_NAME"), ("VERSION_ID", "CNB_TARGET_DISTRO_VERSION")):
        if key in pairs:
            found[name] = pairs[key].strip("\"'")
    return found


def fits(buildpack, machine):
    """Whether the buildpack is for this machine; one without targets is for any."""

    def matches(table, *pairs):
        return all(table.get(key) in (None, "", machine.get(name)) for key, name in pairs)

    def distro(target):
        all_of_them = target.get("distros") or []
        pairs = (("name", "CNB_TARGET_DISTRO_NAME"), ("version", "CNB_TARGET_DISTRO_VERSION"))
        return not all_of_them or any(isinstance(one, dict) and matches(one, *pairs) for one in all_of_them)

    pairs = (("os", "CNB_TARGET_OS"), ("arch", "CNB_TARGET_ARCH"))
    return not buildpack.targets or any(matches(target, *pairs) and distro(target) for target in buildpack.targets)


class Run:
    """The end of one bin/detect."""

    def __init__(self, code, sections=(), output=""):
        self.code, self.sections, self.output = code, list(sections), output


class Detector:
    """Finds the group to build with."""

    def __init__(self, store, app, platform, container):
        self.store, self.app, self.platform = store, app, platform
        self.variables = environment.of_build(container)
        self.machine = target_variables()
        self.runs = {}

    def detect(self, order):
        """The participating elements and their plan."""
        attempts = []
        for group in order:
            for flat in self.flatten(group, (), 0):
                found, text = self.attempt(flat)
                if found:
                    tell(flat, found[0])
                    return found
                attempts.append(text)
        raise self.failure(attempts)

    def flatten(self, group, before, depth):
        """All lists of component buildpacks that a group stands for: a composite buildpack is each of its own groups in turn, or, if
        optional, nothing."""
        if depth > MAX_DEPTH:
            raise Failure(DOWNLOAD, f"the orders of the composite buildpacks are nested more than {MAX_DEPTH} levels deep")
        for index, element in enumerate(group):
            if any(one.id == element.id for one in before):
                continue
            order = self.store.find(element).order
            if not order:
                before = (*before, element)
                continue
            following = group[index + 1 :]
            for inner in order:
                yield from self.flatten([*inner, *following], before, depth + 1)
            if element.optional:
                yield from self.flatten(following, before, depth + 1)
            return
        yield before

    def attempt(self, group):
        """The participating elements and their plan, or nothing; and what was found out."""
        results, lines, passes = [], [], True
        for element in group:
            run = self.run(element)
            if run.code == PASS:
                results.append((element, run.sections))
                lines.append(f"pass: {element}")
                continue
            word = "err: " if run.code != FAIL else "skip:" if element.optional else "fail:"
            lines.append(f"{word} {element}" + (f" ({run.code})" if run.code not in (FAIL, ERROR) else ""))
            passes = passes and element.optional
        if not passes:
            return None, lines
        try:
            return plan.resolve(results), lines
        except plan.Unresolved as error:
            return None, [*lines, f"fail: {error}"]

    def run(self, element):
        """Each buildpack is asked once."""
        buildpack = self.store.find(element)
        name = str(buildpack)
        if name not in self.runs:
            if fits(buildpack, self.machine):
                self.runs[name] = self.execute(buildpack)
            else:
                words = " ".join(self.machine.values())
                self.runs[name] = Run(ERROR, output=f"{name} is not for this stack ({words}): its targets are {buildpack.targets}")
        return self.runs[name]

    def execute(self, buildpack):
        with tempfile.TemporaryDirectory(prefix="plan.") as folder, tempfile.TemporaryFile() as output:
            path = os.path.join(folder, "plan.toml")
            open(path, "w").close()
            script = os.path.join(buildpack.folder, "bin", "detect")
            try:
                done = subprocess.run(
                    [script, self.platform, path], cwd=self.app, env=self.environment(buildpack, path),
                    stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False,
                )
            except OSError as error:
                return Run(ERROR, output=f"{script} cannot be run: {one_line(error)}")
            output.seek(0)
            text = output.read(MAX_OUTPUT).decode("utf-8", "replace").rstrip()
            if done.returncode != PASS:
                return Run(done.returncode, output=text)
            try:
                return Run(PASS, read_plan(path, f"the build plan of {buildpack}"), text)
            except Failure as error:
                return Run(ERROR, output=f"{text}\n{error}".strip())

    def environment(self, buildpack, path):
        variables = self.variables
        if not buildpack.clear_env:
            variables = environment.with_platform(variables, self.platform)
        variables = {**variables, "CNB_BUILDPACK_DIR": buildpack.folder}
        if buildpack.api >= (0, 8):
            variables |= {"CNB_PLATFORM_DIR": self.platform, "CNB_BUILD_PLAN_PATH": path}
        return variables | self.machine if buildpack.api >= (0, 10) else variables

    def failure(self, attempts):
        """Says all that is known, and fails."""
        for name, run in self.runs.items():
            if run.output:
                say(f"======== Output: {name} ========\n{run.output}")
        for lines in attempts:
            say("======== Results ========\n" + "\n".join(lines))
        broken = [name for name, run in self.runs.items() if run.code not in (PASS, FAIL)]
        if broken:
            why = f"bin/detect of {', '.join(broken)} ended with an error"
        else:
            why = "no group of buildpacks passed detection: " + "; ".join(attempts[-1] if attempts else ["no group was given"])
        return Failure(DETECT, why)


def read_plan(path, shown):
    """The sections of a build plan: the main one, then its alternatives."""
    content = toml_files.read(path, DETECT, shown)
    alternatives = toml_files.tables(content, "or", DETECT, shown)
    return [read_section(one, shown) for one in [content, *alternatives]]


def read_section(content, shown):
    provides = [toml_files.text(one, "name", DETECT, shown) for one in toml_files.tables(content, "provides", DETECT, shown)]
    requires = toml_files.tables(content, "requires", DETECT, shown)
    for required in requires:
        toml_files.text(required, "name", DETECT, shown)
        # An empty one counts as none.
        if required.pop("version", "") != "":
            raise Failure(DETECT, f'{shown}: a requirement has the key "version": it belongs into its metadata')
    return plan.Section(provides, requires)


def tell(group, taking_part):
    if len(taking_part) < len(group):
        say(f"{len(taking_part)} of {len(group)} buildpacks participating")
    width = max(len(element.id) for element in taking_part)
    for element in taking_part:
        say(f"{element.id:<{width}} {element.version}".rstrip())
