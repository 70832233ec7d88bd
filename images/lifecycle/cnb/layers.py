"""Layers of a buildpack: <layers>/<buildpack>/<layer> with its <layer>.toml, which says what the layer is for."""

import os
import shutil
from dataclasses import dataclass

import folders
import toml_files
from report import BUILD, Failure

NOT_LAYERS = {"launch", "build", "store"}
SBOMS = {
    "sbom.cdx.json": "application/vnd.cyclonedx+json",
    "sbom.spdx.json": "application/spdx+json",
    "sbom.syft.json": "application/vnd.syft+json",
}


@dataclass
class Layer:
    """A layer and its types."""

    folder: str
    name: str
    launch: bool = False
    build: bool = False
    cache: bool = False

    @property
    def path(self):
        return os.path.join(self.folder, self.name)

    @property
    def toml(self):
        return self.path + ".toml"


def of_buildpack(folder, shown):
    """The layers of a buildpack's folder, by name."""
    found = []
    for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        name, kind = os.path.splitext(file)
        if kind == ".toml" and name not in NOT_LAYERS and os.path.isfile(os.path.join(folder, file)):
            found.append(read(folder, name, shown))
    return found


def read(folder, name, shown):
    shown = f"{name}.toml of {shown}"
    layer = Layer(folder, name)
    content = toml_files.read(layer.toml, BUILD, shown)
    types = toml_files.table(content, "types", BUILD, shown)
    for kind in ("launch", "build", "cache"):
        wanted = types.get(kind, False)
        if not isinstance(wanted, bool):
            raise Failure(BUILD, f"{shown}: types.{kind} is neither true nor false")
        setattr(layer, kind, wanted)
    return layer


def set_aside(layer):
    """A layer without a type is for nothing."""
    if not (layer.launch or layer.build or layer.cache) and os.path.isdir(layer.path):
        folders.remove(layer.path + ".ignore")
        os.rename(layer.path, layer.path + ".ignore")


def keep_launch_layers(folder, shown):
    """Removes all layers that the running app does not need."""
    wanted = {layer.name for layer in of_buildpack(folder, shown) if layer.launch}
    for file in os.listdir(folder):
        path = os.path.join(folder, file)
        name, kind = os.path.splitext(file)
        if os.path.isdir(path) and not os.path.islink(path):
            if file not in wanted:
                folders.remove(path)
        elif kind == ".toml" and name not in wanted | NOT_LAYERS:
            folders.remove(path)


def forget_types(toml):
    """A restored layer has no types until its buildpack gives it some."""
    content = toml_files.read(toml, BUILD, os.path.basename(toml))
    metadata = content.get("metadata")
    toml_files.write(toml, {"metadata": metadata} if isinstance(metadata, dict) else {})


def collect_sboms(buildpack, folder, layers, target):
    """Copies the bills of materials of a buildpack and its layers: <target>/<launch|build|cache>/<buildpack>[/<layer>]/sbom.<format>.json."""
    kinds = {layer.name: [kind for kind in ("launch", "build", "cache") if getattr(layer, kind)] for layer in layers}
    own = {"launch": ["launch"], "build": ["build"]}
    for file in sorted(os.listdir(folder)):
        name, _, sbom = file.partition(".sbom.")
        if not sbom or not os.path.isfile(os.path.join(folder, file)):
            continue
        sbom = "sbom." + sbom
        check_sbom(buildpack, file, sbom)
        for kind in own.get(name, kinds.get(name, [])):
            inner = "" if name in own else name
            place = os.path.join(target, kind, os.path.basename(folder), inner)
            os.makedirs(place, exist_ok=True)
            shutil.copyfile(os.path.join(folder, file), os.path.join(place, sbom))


def check_sbom(buildpack, file, sbom):
    media_type = SBOMS.get(sbom)
    if media_type is None:
        raise Failure(BUILD, f"{file} of {buildpack} is no format of a bill of materials: use one of {', '.join(SBOMS)}")
    declared = [one.partition(";")[0].strip() for one in buildpack.sbom_formats]
    if media_type not in declared:
        raise Failure(BUILD, f"{file} of {buildpack} is of a format that its buildpack.toml does not declare: {media_type}")
