"""What to install, as lines of a requirements file, out of the other files that say so.

usage: requirements.py pipfile-lock|pipfile|project|uv|poetry FOLDER
Runs in the Python that the app will run on: markers are about that one. Fails with one line on standard error.
"""
import json
import sys
import tomllib
from pathlib import Path

from lock_graph import poetry_lock, uv_lock

PYPI = ("https://pypi.org/simple", "https://pypi.python.org/simple", "https://pypi.org/simple/", "https://pypi.python.org/simple/")


def toml(path):
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        sys.exit(f"{path.name} is not valid TOML: {error}")


def pipenv_package(name, package):
    """A package of a Pipfile or its lock: a version, or a table."""
    if isinstance(package, str):
        package = {"version": package}
    extras = f"[{','.join(package['extras'])}]" if package.get("extras") else ""
    markers = [f"({package[key]})" if key == "markers" else f"{key} {package[key]}" for key in
               ("markers", "sys_platform", "platform_system", "platform_machine", "python_version", "os_name", "implementation_name") if package.get(key)]
    marker = f" ; {' and '.join(markers)}" if markers else ""
    if "git" in package:
        where = f"git+{package['git']}" + (f"@{package['ref']}" if package.get("ref") else "")
        where += f"#subdirectory={package['subdirectory']}" if package.get("subdirectory") else ""
        return f"-e {where}{'&' if '#' in where else '#'}egg={name}{extras}" if package.get("editable") else f"{name}{extras} @ {where}{marker}"
    if "path" in package:
        path = package["path"] if package["path"].startswith((".", "/")) else f"./{package['path']}"
        return f"{'-e ' if package.get('editable') else ''}{path}{extras}"
    if "file" in package:
        return f"{name}{extras} @ {package['file']}{marker}"
    version = package.get("version", "*")
    return f"{name}{extras}{'' if version == '*' else version}{marker}"


def indexes(sources):
    """The index lines of other servers than the public one, which pip asks anyway."""
    urls = [source["url"] for source in sources if source.get("url")]
    others = [url for url in urls if url not in PYPI]
    if not others:
        return []
    if len(others) == len(urls):
        return [f"--index-url {others[0]}", *(f"--extra-index-url {url}" for url in others[1:])]
    return [f"--extra-index-url {url}" for url in others]


def pipfile_lock(folder):
    try:
        lock = json.loads((folder / "Pipfile.lock").read_text())
    except ValueError as error:
        sys.exit(f"Pipfile.lock is not valid JSON: {error}")
    return indexes(lock.get("_meta", {}).get("sources", [])) + [pipenv_package(*item) for item in lock.get("default", {}).items()]


def pipfile(folder):
    document = toml(folder / "Pipfile")
    return indexes(document.get("source", [])) + [pipenv_package(*item) for item in document.get("packages", {}).items()]


def project(folder):
    document = toml(folder / "pyproject.toml")
    if "project" in document and "dependencies" not in document["project"].get("dynamic", []):
        return document["project"].get("dependencies", [])
    from lock_graph import poetry_requirement
    dependencies = document.get("tool", {}).get("poetry", {}).get("dependencies", {})
    return [line for name, value in dependencies.items() if name.lower() != "python" for line in poetry_requirement(name, value)]


def main():
    kind, folder = sys.argv[1], Path(sys.argv[2])
    if kind == "uv":
        lines = uv_lock(toml(folder / "uv.lock"))
    elif kind == "poetry":
        lines = poetry_lock(toml(folder / "poetry.lock"), toml(folder / "pyproject.toml"))
    else:
        lines = {"pipfile-lock": pipfile_lock, "pipfile": pipfile, "project": project}[kind](folder)
    print("\n".join(lines))


main()
