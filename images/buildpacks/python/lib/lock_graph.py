"""The packages that a lock file of uv or poetry pins for the app itself, without those of its development groups."""
import re
import sys

from pip._vendor.packaging.markers import Marker
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.specifiers import SpecifierSet


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def applies(marker, extras=()):
    return not marker or any(Marker(marker).evaluate({"extra": extra}) for extra in (*extras, ""))


def reach(roots, edges):
    """What is reached from the roots, which are pairs (package of the lock, extras); edges gives such pairs for a package and its extras."""
    reached, queue = {}, list(roots)
    while queue:
        package, extras = queue.pop()
        known = reached.get(id(package))
        if known and extras <= known[1]:
            continue
        reached[id(package)] = (package, extras | (known[1] if known else set()))
        queue.extend(edges(*reached[id(package)]))
    return [package for package, _ in reached.values()]


def named(packages, name, wanted=lambda package: True):
    """The package of a name in the lock; a lock may pin several versions, for several platforms."""
    for package in packages:
        if canonical(package["name"]) == canonical(name) and wanted(package) and any(map(applies, package.get("resolution-markers", [""]))):
            return package
    sys.exit(f"the lock file has no {name}")


def uv_lock(lock):
    packages = lock.get("package", [])
    roots = [package for package in packages if {"virtual", "editable", "directory"} & set(package["source"]) and "." in package["source"].values()]

    def edges(package, extras):
        needed = package.get("dependencies", []) + [one for extra in extras for one in package.get("optional-dependencies", {}).get(extra, [])]
        for one in needed:
            if applies(one.get("marker"), extras):
                yield named(packages, one["name"], lambda found: one.get("version") in (None, found.get("version"))), set(one.get("extra", []))

    def line(package):
        source, name = package["source"], package["name"]
        if "git" in source:
            url, _, rest = source["git"].partition("?")
            return f"{name} @ git+{url.partition('#')[0]}@{rest.partition('#')[2] or url.partition('#')[2]}"
        if "url" in source:
            return f"{name} @ {source['url']}"
        local = source.get("editable") or source.get("directory") or source.get("path")
        if local:
            return f"{'-e ' if 'editable' in source else ''}./{local}"
        return None if "virtual" in source else f"{name}=={package['version']}"
    return [text for package in reach([(root, set()) for root in roots], edges) if package not in roots and (text := line(package))]


def poetry_requirement(name, value):
    """Lines for a dependency of pyproject.toml as poetry has it: a version, a table, or a list of tables."""
    for one in value if isinstance(value, list) else [value]:
        one = {"version": one} if isinstance(one, str) else one
        if one.get("optional"):
            continue
        extras = f"[{','.join(one['extras'])}]" if one.get("extras") else ""
        markers = [part for part in (one.get("markers"), one.get("python") and " and ".join(
            f"python_full_version {part}" for part in re.sub(r"(?<![0-9])([<>=!~]+)\s*([0-9.]+)", r"\1 '\2'", pep440(one["python"])).split(","))) if part]
        marker = f" ; {' and '.join(markers)}" if markers else ""
        if "git" in one:
            yield f"{name}{extras} @ git+{one['git']}@{one.get('rev') or one.get('tag') or one.get('branch') or 'HEAD'}{marker}"
        elif "path" in one:
            yield f"{'-e ' if one.get('develop') else ''}./{one['path']}"
        elif "url" in one:
            yield f"{name}{extras} @ {one['url']}{marker}"
        else:
            yield f"{name}{extras}{pep440(one.get('version', '*'))}{marker}"


def pep440(text):
    """A range of poetry (^1.2, ~1.2, 1.2, *) in Python's words."""
    def widen(match):
        parts = [int(part) for part in re.findall(r"\d+", match[2])]
        keep = next((index for index, part in enumerate(parts) if part), len(parts) - 1) + 1 if match[1] == "^" else min(len(parts), 2)
        return f">={match[2]},<{'.'.join(map(str, [*parts[:keep - 1], parts[keep - 1] + 1]))}"
    parts = [re.sub(r"([\^~])(?!=)\s*([0-9.]+)", widen, part.strip()) for part in text.split(",")]
    return ",".join(f"=={part}" if re.match(r"\d", part) else part for part in parts if part != "*")


def poetry_lock(lock, document):
    packages = lock.get("package", [])
    wanted = [Requirement(text) for text in document.get("project", {}).get("dependencies", [])]
    lines = [line for name, value in document.get("tool", {}).get("poetry", {}).get("dependencies", {}).items() if name.lower() != "python"
             for line in ([name] if isinstance(value, dict) and {"path", "git", "url"} & set(value) else poetry_requirement(name, value))]
    wanted += [Requirement(line) for line in lines]

    def edges(package, extras):
        optional = {canonical(re.match(r"[\w.-]+", text)[0]) for extra in extras for text in package.get("extras", {}).get(extra, [])}
        for name, values in package.get("dependencies", {}).items():
            for one in values if isinstance(values, list) else [values]:
                one = {"version": one} if isinstance(one, str) else one
                if (not one.get("optional") or canonical(name) in optional) and applies(one.get("markers"), extras):
                    ranges = SpecifierSet(pep440(one.get("version", "*")).replace("||", ",")) if "||" not in one.get("version", "") else SpecifierSet()
                    yield named(packages, name, lambda found: ranges.contains(found["version"], prereleases=True)), set(one.get("extras", []))

    roots = [(named(packages, one.name, lambda found: one.specifier.contains(found["version"], prereleases=True)), set(one.extras))
             for one in wanted if not one.marker or one.marker.evaluate({"extra": ""})]

    def line(package):
        source = package.get("source", {})
        match source.get("type"):
            case "git":
                return f"{package['name']} @ git+{source['url']}@{source['resolved_reference']}"
            case "url":
                return f"{package['name']} @ {source['url']}"
            case "directory" | "file":
                return f"{'-e ' if package.get('develop') else ''}./{source['url']}"
        return f"{package['name']}=={package['version']}"
    return [line(package) for package in reach(roots, edges)]
