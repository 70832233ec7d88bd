"""What was given: images, folders, and what is neither."""

import io
import json
import os
import tarfile
import tempfile
import unittest

import archives
from buildpacks import Store
from report import Failure

TOML = 'api = "0.10"\n[buildpack]\nid = "%s"\nversion = "1"\n'


def tar(entries, mode="w:gz"):
    """Names with contents; a text that begins with `->` is a link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, content in entries.items():
            entry = tarfile.TarInfo(name)
            entry.mode = 0o755
            if content is None:
                entry.type = tarfile.DIRTYPE
            elif content.startswith("->"):
                entry.type, entry.linkname = tarfile.SYMTYPE, content[2:]
            else:
                entry.size = len(content)
            archive.addfile(entry, io.BytesIO((content or "").encode()) if entry.isfile() else None)
    return buffer.getvalue()


def buildpack(name, folder="", more=""):
    files = {"buildpack.toml": TOML % name + more, "bin/detect": "", "bin/build": ""}
    return {folder + path: content for path, content in files.items()}


def image(layers, labels=None, platform=None):
    """The files of an OCI layout."""
    blobs = [*(tar(layer) for layer in layers), json.dumps({"config": {"Labels": labels or {}}}).encode()]
    names = [f"{index:064x}" for index in range(len(blobs))]
    described = [{"digest": f"sha256:{name}"} for name in names]
    manifest = json.dumps({"config": described[-1], "layers": described[:-1]}).encode()
    entry = {"digest": f"sha256:{255:064x}"} | ({"platform": platform} if platform else {})
    files = {f"blobs/sha256/{name}": blob for name, blob in zip(names, blobs)}
    return files | {f"blobs/sha256/{255:064x}": manifest, "index.json": json.dumps({"manifests": [entry]}).encode()}


class Archives(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.count = 0

    def open(self, given):
        """Bytes are a file, a dictionary a folder; gives the main buildpack and the store."""
        self.count += 1
        path, store = os.path.join(self.folder, str(self.count)), Store()
        if isinstance(given, bytes):
            with open(path, "wb") as file:
                file.write(given)
        else:
            for name, content in given.items():
                os.makedirs(os.path.dirname(os.path.join(path, name)), exist_ok=True)
                with open(os.path.join(path, name), "wb") as file:
                    file.write(content)
        return archives.open_given(path, "it", store)

    def test_folders_and_images_are_found(self):
        two = {**buildpack("a/b", "cnb/buildpacks/a_b/1/"), **buildpack("c", "cnb/buildpacks/c/1/")}
        composite = {"cnb/buildpacks/m/1/buildpack.toml": TOML % "m" + '[[order]]\ngroup = [{ id = "c", version = "1" }]\n'}
        label = {archives.LABEL: json.dumps({"id": "c", "version": "1"})}
        layout = image([two], label)
        folder = f"linux/{archives.architecture()}/"
        several = {(folder if "bin" in name else "") + name: content for name, content in buildpack("x").items()}
        as_tar = io.BytesIO()
        with tarfile.open(fileobj=as_tar, mode="w") as archive:
            for name, content in layout.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        for name, given, expected in [
            ("a folder", tar(buildpack("x")), "x"), ("a folder in one more", tar(buildpack("x", "x-main/")), "x"),
            ("a folder with a point", tar(buildpack("x", "./"), "w"), "x"), ("an image", image([buildpack("y", "/cnb/buildpacks/y/1/")]), "y"),
            ("for several platforms", tar(several), "x"), ("the label names one", layout, "c"), ("a file of an image", as_tar.getvalue(), "c"),
            ("a composite one of several", image([two, composite]), "m"),
            ("for this machine", image([buildpack("y", "cnb/buildpacks/y/1/")], platform={"architecture": archives.architecture()}), "y"),
            ("hidden by a later layer", image([two, {"cnb/buildpacks/.wh.a_b": ""}]), "c"),
            ("hidden with its folder", image([two, {"cnb/.wh.buildpacks": ""}, buildpack("y", "cnb/buildpacks/y/1/")]), "y"),
            ("all hidden by a later layer", image([two, {"cnb/buildpacks/.wh..wh..opq": "", **buildpack("y", "cnb/buildpacks/y/1/")}]), "y"),
        ]:
            with self.subTest(name):
                self.assertEqual(self.open(given).id, expected)

    def test_only_layers_hide_files(self):
        found = self.open(tar({**buildpack("x"), ".wh.bin": "", "lib/x": "", "lib/.wh..wh..opq": "", ".wh...": ""}))
        self.assertEqual(sorted(os.listdir(found.folder)), [".wh...", ".wh.bin", "bin", "buildpack.toml", "lib"])
        self.assertEqual(sorted(os.listdir(os.path.join(found.folder, "lib"))), [".wh..wh..opq", "x"])

    def test_bad_input_is_refused(self):
        two = {**buildpack("a", "cnb/buildpacks/a/1/"), **buildpack("c", "cnb/buildpacks/c/1/")}
        broken = image([buildpack("y", "cnb/buildpacks/y/1/")])
        del broken[f"blobs/sha256/{0:064x}"]
        for name, given, text in [
            ("no archive", b"PK\x03\x04 and so on", "is not a tar archive"), ("empty", b"", "is not a tar archive"),
            ("cut", tar(buildpack("x"))[:60], "is not a tar archive"), ("zstd", archives.ZSTD + b"...", "compressed with zstd"),
            ("no buildpack", tar({"README": ""}), "there is no buildpack.toml"), ("above", tar({"../x": ""}), "outside of its folder"),
            ("through a link", tar({"d": "->/tmp", "d/x": "", **buildpack("x")}), "has an entry below a link"),
            ("no buildpacks in the image", image([{"etc/passwd": ""}]), "has no buildpacks"), ("several", image([two]), "not clear which"),
            ("a part is missing", broken, "is not whole"), ("odd index", {"index.json": b"[]"}, "is not an object"),
            ("another machine", image([{}, {}]) | {"index.json": b'{"manifests": []}'}, "has no image for linux/"),
            ("above by hiding", image([two, {"cnb/buildpacks/a/.wh...": ""}]), "outside of its folder: cnb/buildpacks/a/.wh..."),
            ("itself by hiding", image([two, {"cnb/buildpacks/a/.wh..": ""}]), "outside of its folder"),
            ("nothing by hiding", image([two, {"cnb/buildpacks/a/.wh.": ""}]), "outside of its folder"),
            ("by hiding through a link", image([{"cnb/buildpacks/d": "->/tmp"}, {"cnb/buildpacks/d/.wh.x": ""}]), "has an entry below a link"),
            ("odd label", image([two], {archives.LABEL: "{"}), "is not JSON"),
        ]:
            with self.subTest(name), self.assertRaisesRegex(Failure, text):
                self.open(given)


if __name__ == "__main__":
    unittest.main()
