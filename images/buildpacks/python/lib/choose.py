"""Which Python the app asks for, and which of those that can be had it gets.

usage: choose.py APP_FOLDER STACK_VERSION [VERSION…]
Prints lines `warn TEXT`, then `use VERSION`, or `fail TEXT`.
"""
import json
import re
import sys
import tomllib
from pathlib import Path

from pip._vendor.packaging.specifiers import InvalidSpecifier, SpecifierSet

app, stack, *fetched = Path(sys.argv[1]), *sys.argv[2:]


def line_of(name, pattern):
    for number, line in enumerate((app / name).read_text(errors="replace").splitlines(), 1):
        if re.search(pattern, line):
            return f"{name}:{number}"
    return name


def end(kind, text):
    print(kind, text)
    sys.exit()


def specifier(version):
    """Of a version as runtime.txt and Pipfile have it: 3.12, 3.12.x, 3.x, 3.12.1."""
    parts = [part for part in version.split(".") if part.lower() not in ("x", "*")]
    return f"=={'.'.join(parts)}" + ("" if len(parts) > 2 else ".*")


def poetry_specifier(text):
    """Of the ranges ^3.11 and ~3.11 of poetry; the others are those of Python."""
    def widen(match):
        operator, parts = match[1], [int(part) for part in match[2].split(".")]
        keep = 1 if operator == "^" and parts[0] else min(len(parts), 2)
        upper = [*parts[: keep - 1], parts[keep - 1] + 1]
        return f">={match[2]},<{'.'.join(map(str, upper))}"
    text = re.sub(r"([\^~])(?!=)\s*([0-9.]+)", widen, text)
    return f"=={text}" if re.match(r"[0-9]", text) else text


def toml(name):
    try:
        return tomllib.loads((app / name).read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        end("fail", f"{name} is not valid TOML: {error}")


def asked():
    """The request as (words, specifier, line that asks, whether another patch version will do), or None."""
    version = r"^(\d+)(\.(\d+|x|\*))?(\.(\d+|x|\*))?$"
    if (app / "runtime.txt").is_file():
        words = "".join((app / "runtime.txt").read_text().split())
        plain = words.removeprefix("python-")
        if not re.match(version, plain):
            end("fail", f"runtime.txt:1 asks for '{words}', which is not a version of Python")
        return plain, specifier(plain), "runtime.txt:1", False
    if (app / ".python-version").is_file():
        lines = [line.strip() for line in (app / ".python-version").read_text().splitlines() if line.strip() and not line.startswith("#")]
        plain = lines[0].removeprefix("python-").removeprefix("cpython-") if lines else ""
        if re.match(version, plain):
            return plain, specifier(plain), line_of(".python-version", re.escape(lines[0])), True
        print("warn", f".python-version has no version of Python: '{plain}'")
    if (app / "Pipfile").is_file() or (app / "Pipfile.lock").is_file():
        if (app / "Pipfile.lock").is_file():
            name = "Pipfile.lock"
            try:
                requires = json.loads((app / name).read_text()).get("_meta", {}).get("requires", {})
            except ValueError as error:
                end("fail", f"Pipfile.lock is not valid JSON: {error}")
        else:
            name, requires = "Pipfile", toml("Pipfile").get("requires", {})
        for key in ("python_full_version", "python_version"):
            if re.match(version, requires.get(key, "")):
                return requires[key], specifier(requires[key]), line_of(name, key), key == "python_full_version"
    if (app / "pyproject.toml").is_file() and not (app / "requirements.txt").is_file():
        document = toml("pyproject.toml")
        text = document.get("project", {}).get("requires-python")
        if text:
            return text, text, line_of("pyproject.toml", "requires-python"), False
        text = document.get("tool", {}).get("poetry", {}).get("dependencies", {}).get("python")
        if isinstance(text, str):
            return text, poetry_specifier(text), line_of("pyproject.toml", r"^\s*python\s*="), False
    return None


request = asked()
if request is None:
    end("use", stack)
words, text, line, lenient = request
try:
    wanted = SpecifierSet(text)
except InvalidSpecifier:
    end("fail", f"{line} asks for '{words}', which is not a version of Python")
candidates = [stack, *reversed(fetched)]
for version in candidates:
    if wanted.contains(version, prereleases=True):
        end("use", version)
if lenient:
    minor = ".".join(words.split(".")[:2]) + "."
    for version in candidates:
        if version.startswith(minor):
            print("warn", f"{line} asks for Python {words}: the app will run on Python {version}")
            end("use", version)
end("fail", f"{line} asks for Python {words}: no match found; there are {', '.join(sorted(candidates, key=lambda one: [int(part) for part in one.split('.')]))}")
