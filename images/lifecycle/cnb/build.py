"""Building: restores what an earlier staging kept, then runs bin/build of each participating buildpack."""

import os
import shutil
import subprocess
import tempfile

import environment
import folders
import layers
import plan
import toml_files
from buildpacks import escaped
from detect import target_variables
from launch import Launch
from report import BUILD, Failure, one_line, say


def restore(group, cache, folder):
    """Moves the cached layers of the participating buildpacks to their place, and what they stored."""
    restored = False
    for element in group:
        source = os.path.join(cache, "layers", escaped(element.id))
        if not os.path.isdir(source):
            continue
        target = os.path.join(folder, escaped(element.id))
        try:
            shutil.move(source, target)
            for layer in layers.of_buildpack(target, element):
                layers.forget_types(layer.toml)
                say(f'Restoring data for "{element.id}:{layer.name}" from cache')
        except Exception as error:  # Whatever an earlier staging left: without a cache the app stages as for the first time.
            say(f"The cached layers of {element} cannot be used: {one_line(error)}")
            folders.remove(target)
        restored = True
    if not restored:
        say("Layer cache not found")


class Builder:
    """Runs the buildpacks and collects what they say of the app."""

    def __init__(self, store, app, platform, folder, container):
        self.store, self.app, self.platform, self.folder = store, app, platform, folder
        self.variables = environment.of_build(container)
        self.machine = target_variables()
        self.launch = Launch()

    def build(self, group, entries):
        """Gives the processes and labels of the app."""
        sboms = os.path.join(self.folder, "sbom")
        folders.remove(sboms)
        for element in group:
            buildpack = self.store.find(element)
            own = os.path.join(self.folder, escaped(buildpack.id))
            os.makedirs(own, exist_ok=True)
            required = plan.of_buildpack(entries, element)
            self.run(buildpack, own, required)
            found = layers.of_buildpack(own, buildpack)
            for layer in found:
                layers.set_aside(layer)
                if layer.build:
                    environment.add_layer(self.variables, layer.path)
            entries = plan.without(entries, met(own, buildpack, required))
            layers.collect_sboms(buildpack, own, found, sboms)
            self.launch.read(own, buildpack)
        return self.launch

    def run(self, buildpack, own, required):
        with tempfile.TemporaryDirectory(prefix="plan.") as folder:
            path = os.path.join(folder, "plan.toml")
            toml_files.write(path, {"entries": required})
            script = os.path.join(buildpack.folder, "bin", "build")
            try:
                done = subprocess.run(
                    [script, own, self.platform, path], cwd=self.app, env=self.environment(buildpack, own, path),
                    stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, check=False,
                )
            except OSError as error:
                raise Failure(BUILD, f"bin/build of {buildpack} cannot be run: {one_line(error)}") from error
        if done.returncode:
            raise Failure(BUILD, f"Failed to run bin/build of {buildpack}: exit status {done.returncode}")

    def environment(self, buildpack, own, path):
        variables = self.variables
        if not buildpack.clear_env:
            variables = environment.with_platform(variables, self.platform)
        variables = {**variables, "CNB_BUILDPACK_DIR": buildpack.folder}
        if buildpack.api >= (0, 8):
            variables |= {"CNB_PLATFORM_DIR": self.platform, "CNB_BP_PLAN_PATH": path, "CNB_LAYERS_DIR": own}
        return variables | self.machine if buildpack.api >= (0, 10) else variables


def met(own, buildpack, required):
    """The names of the plan that the buildpack provided: all but those that its build.toml calls unmet."""
    shown = f"build.toml of {buildpack}"
    content = toml_files.read(os.path.join(own, "build.toml"), BUILD, shown)
    names = {one["name"] for one in required}
    unmet = {toml_files.text(one, "name", BUILD, shown) for one in toml_files.tables(content, "unmet", BUILD, shown)}
    if not unmet <= names:
        raise Failure(BUILD, f"{shown}: nobody required {', '.join(sorted(unmet - names))}")
    return names - unmet
