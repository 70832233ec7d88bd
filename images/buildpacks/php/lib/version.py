"""Whether the stack's PHP is the one that the app asks for, and how files of the app are read."""
import json
import os
import re

from constraint import satisfies


class Problem(Exception):
    pass


def read_json(path, name):
    try:
        with open(path, encoding="utf-8-sig") as file:
            content = json.load(file)
    except ValueError as error:
        raise Problem(f"{name} is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise Problem(f"{name} is not a JSON object")
    return content


def line_of(path, key):
    with open(path, encoding="utf-8-sig") as file:
        return next((number for number, line in enumerate(file, 1) if f'"{key}"' in line), 1)


def composer_version(composer, app):
    """The constraint of composer's files, and the file that has it."""
    name = composer["json"] or composer["lock"]
    if not name:
        return "", ""
    required = read_json(os.path.join(app, name), name).get("require" if composer["json"] else "platform")
    asked = required.get("php") if isinstance(required, dict) else None
    return (asked, name) if isinstance(asked, str) else ("", "")


def check_version(options, path, composer, app, version):
    """Fails unless the stack's PHP is the one asked for."""
    line = ".".join(version.split(".")[:2])
    had = f"this stack has PHP {version} ({line}.x)"
    asked = str(options.get("PHP_VERSION") or "")
    if asked:
        place = f".bp-config/options.json line {line_of(path, 'PHP_VERSION')}"
        latest = re.fullmatch(r"\{PHP_(\d)(\d+)_LATEST\}", asked)
        wanted = f"{latest[1]}.{latest[2]}.x" if latest else asked
        wanted = {"{PHP_DEFAULT}": line + ".x"}.get(asked, wanted)
        if not re.fullmatch(r"\d+(\.(\d+|[xX*]))*", wanted) or not satisfies(version, wanted if wanted.count(".") > 1 else wanted + ".x"):
            raise Problem(f"PHP {asked}, which {place} asks for, cannot be had: {had} only")
    asked, name = composer_version(composer, app)
    if not asked:
        return
    place = f"{name} line {line_of(os.path.join(app, name), 'php')}"
    try:
        had_it = satisfies(version, asked)
    except ValueError:
        raise Problem(f"{place}: '{asked}' is no version constraint") from None
    if not had_it:
        raise Problem(f"PHP {asked}, which {place} asks for, cannot be had: {had} only")
