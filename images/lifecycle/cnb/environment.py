"""The environment of the scripts of buildpacks: what the lifecycle passes on, what layers add, and what users set."""

import os

# Passed on from the container, with the variables that layers' folders extend.
PASSED = ("CNB_STACK_ID", "HOSTNAME", "HOME", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy")
FOLDERS = {
    "bin": ("PATH",),
    "lib": ("LD_LIBRARY_PATH", "LIBRARY_PATH"),
    "include": ("CPATH",),
    "pkgconfig": ("PKG_CONFIG_PATH",),
}
PATHS = {name for names in FOLDERS.values() for name in names}


def of_build(container):
    """What scripts get of the container's environment."""
    return {name: value for name, value in container.items() if name in PASSED or name in PATHS}


def with_platform(variables, platform):
    """The same with the user's variables; lists of folders are put before what is there."""
    merged = dict(variables)
    for name, value in files_of(os.path.join(platform, "env")):
        old = merged.get(name, "")
        merged[name] = f"{value}:{old}" if name in PATHS and old else value
    return merged


def add_layer(variables, layer):
    """Adds what a layer that later buildpacks need has: its folders, then its files in env and env.build."""
    for folder, names in FOLDERS.items():
        path = os.path.join(layer, folder)
        if os.path.exists(path):
            for name in names:
                variables[name] = joined(path, ":", variables.get(name, ""))
    for folder in ("env", "env.build"):
        add_folder(variables, os.path.join(layer, folder))


def add_folder(variables, folder):
    """Applies the files of one folder in the order of their names: NAME.ACTION with the value; without an action it replaces."""
    for file, value in files_of(folder):
        name, _, action = file.partition(".")
        old = variables.get(name, "")
        if action == "prepend":
            variables[name] = joined(value, delimiter(folder, name), old)
        elif action == "append":
            variables[name] = joined(old, delimiter(folder, name), value) if old else value
        elif action == "default":
            variables[name] = old or value
        elif action in ("", "override"):
            variables[name] = value


def joined(first, between, second):
    return first + between + second if second else first


def delimiter(folder, name):
    return dict(files_of(folder)).get(f"{name}.delim", "")


def files_of(folder):
    """Names and contents of the files in a folder, sorted; none when it is missing."""
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    paths = ((name, os.path.join(folder, name)) for name in names)
    return [(name, content(path)) for name, path in paths if os.path.isfile(path)]


def content(path):
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return file.read()
