"""Jars, manifests and class files."""

import io
import zipfile


def parse_manifest(data):
    """The main attributes. A line that begins with a blank continues the one before."""
    text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").replace("\n ", "")
    pairs = (line.split(":", 1) for line in text.split("\n\n")[0].split("\n") if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def manifest_of(folder):
    file = folder / "META-INF/MANIFEST.MF"
    return parse_manifest(file.read_bytes()) if file.is_file() else {}


def java_release(data):
    """The Java that a class file needs: its format 52 is that of Java 8. 0 when it is no class file."""
    if data[:4] != b"\xca\xfe\xba\xbe":
        return 0
    return max(int.from_bytes(data[6:8], "big") - 44, 0)


class Jar:
    def __init__(self, path):
        self.path = path
        self.manifest = parse_manifest(self.read("META-INF/MANIFEST.MF"))

    def read(self, name):
        try:
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(name)
        except (KeyError, OSError, zipfile.BadZipFile):
            return b""

    def release_of(self, name):
        file = name.replace(".", "/") + ".class"
        return java_release(self.read(file)) or java_release(self.read("BOOT-INF/classes/" + file))


def count_in(archive):
    """Classes in an archive, and in the archives in it."""
    count = 0
    try:
        with zipfile.ZipFile(archive) as content:
            for name in content.namelist():
                if name.endswith((".class", ".groovy")):
                    count += 1
                elif name.endswith(".jar"):
                    count += count_in(io.BytesIO(content.read(name)))
    except (OSError, zipfile.BadZipFile, RuntimeError):
        pass
    return count


def count_classes(folder):
    count = 0
    for file in folder.rglob("*"):
        if file.suffix in (".class", ".groovy"):
            count += 1
        elif file.suffix in (".jar", ".war") and file.is_file():
            count += count_in(file)
    return count
