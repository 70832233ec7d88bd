"""Exporting: the droplet as one image layer, the cache for the next staging, and what the platform and the launcher need to know.

The launcher has only bash. What metadata.toml says to people and tools, it reads from two files beside it, in which every value ends with a
null character:
  buildpacks   the folders of the buildpacks in order
  processes    of each process: type, words of the command joined by blanks, `direct` or `shell`, its folder or nothing, the number of
               words of the command, the number of all words, the words
"""

import json
import os
import subprocess

import layers
import toml_files
from buildpacks import escaped
from report import EXPORT, Failure, say

TAR = ["tar", "--format=gnu", "--sort=name", "--numeric-owner", "--owner=2000", "--group=2000"]


class Exporter:
    """Writes all outputs of a staging."""

    def __init__(self, home, buildpacks, launch):
        self.home, self.buildpacks, self.launch = home, buildpacks, launch
        self.layers = os.path.join(home, "layers")

    def export(self):
        self.write_cache()
        for buildpack in self.buildpacks:
            layers.keep_launch_layers(self.folder(buildpack), buildpack)
        self.write_metadata()
        self.write_result()
        pack("/tmp/droplet.tar", "/", [self.home.lstrip("/") + "/layers", self.home.lstrip("/") + "/workspace"])

    def folder(self, buildpack):
        return os.path.join(self.layers, escaped(buildpack.id))

    def write_cache(self):
        """The cached layers with their descriptions, and what buildpacks stored for themselves."""
        kept = []
        for buildpack in self.buildpacks:
            folder = self.folder(buildpack)
            for layer in layers.of_buildpack(folder, buildpack):
                if layer.cache and os.path.isdir(layer.path):
                    say(f"Adding cache layer '{buildpack.id}:{layer.name}'")
                    names = (layer.name, f"{layer.name}.toml", *(f"{layer.name}.{sbom}" for sbom in layers.SBOMS))
                    kept += [os.path.join(folder, name) for name in names]
            kept.append(os.path.join(folder, "store.toml"))
        pack("/tmp/output-cache.tar", self.home, [os.path.relpath(path, self.home) for path in kept if os.path.exists(path)])

    def write_metadata(self):
        folder = os.path.join(self.layers, "config")
        os.makedirs(folder, exist_ok=True)
        toml_files.write(
            os.path.join(folder, "metadata.toml"),
            {
                "buildpacks": [
                    {"api": one.api_text, "homepage": one.homepage, "id": one.id, "version": one.version} for one in self.buildpacks
                ],
                "processes": [
                    {
                        "type": one.type, "command": one.command, "args": one.args, "direct": one.direct,
                        "buildpack-id": one.buildpack, "working-dir": one.working_dir or None,
                    }
                    for one in self.launch.all()
                ],
                "labels": self.launch.labels,
            },
        )
        write_values(os.path.join(folder, "buildpacks"), [escaped(one.id) for one in self.buildpacks])
        write_values(os.path.join(folder, "processes"), [value for one in self.launch.all() for value in record(one)])

    def write_result(self):
        """What the platform is told. A key is the id of a buildpack, as on Cloud Foundry."""
        commands = {one.type: " ".join(one.words) for one in self.launch.all()}
        result = {
            "lifecycle_type": "cnb",
            "lifecycle_metadata": {
                "buildpacks": [{"key": one.id, "name": str(one), "version": one.version} for one in self.buildpacks],
            },
            "process_types": commands,
            "processes": [{"type": name, "command": command} for name, command in commands.items()],
            "execution_metadata": "",
        }
        with open("/tmp/result.json", "w", encoding="utf-8") as file:
            json.dump(result, file)


def record(process):
    words = process.words
    how = "direct" if process.direct else "shell"
    return [process.type, " ".join(words), how, process.working_dir, str(len(process.command)), str(len(words)), *words]


def write_values(path, values):
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(value + "\0" for value in values))


def pack(target, folder, paths):
    """A tar with sorted names and fixed owners, so that equal content gives equal bytes."""
    names = "".join(path + "\0" for path in paths).encode()
    done = subprocess.run([*TAR, "-C", folder, "-cf", target, "--null", "-T", "-"], input=names, check=False)
    if done.returncode:
        raise Failure(EXPORT, f"{os.path.basename(target)} cannot be packed: tar ended with exit status {done.returncode}")
