"""Layers, processes and files that buildpacks leave, and what the launcher reads."""

import os
import tempfile
import tomllib
import unittest

import layers
import toml_files
from build import met, restore
from buildpacks import Buildpack, Element
from export import record
from launch import Launch
from report import Failure


class Build(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def write(self, name, content=""):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(content)

    def buildpack(self, api=(0, 10), **more):
        return Buildpack(self.folder, api, "x", "1", **more)

    def launch(self, content, api=(0, 10)):
        self.write("launch.toml", content)
        launch = Launch()
        launch.read(self.folder, self.buildpack(api))
        return {one.type: record(one)[1:5] for one in launch.all()}

    def test_without_web_the_default_or_the_only_process_is_web(self):
        one = '[[processes]]\ntype = "%s"\ncommand = ["%s", "-x"]\nargs = ["a b"]\n'
        self.assertEqual(self.launch(one % ("job", "j"))["web"], ["j -x a b", "direct", "", "2"])
        self.assertNotIn("web", self.launch(one % ("job", "j") + one % ("other", "o")))
        both = self.launch(one % ("job", "j") + "default = true\n" + one % ("other", "o"))
        self.assertEqual(both["web"][0], "j -x a b")

    def test_commands_are_texts_up_to_api_0_8_and_lists_later(self):
        text = '[[processes]]\ntype = "web"\ncommand = "serve"\nworking-dir = "/srv"\n'
        self.assertEqual(self.launch(text, (0, 8))["web"], ["serve", "shell", "/srv", "1"])
        self.assertEqual(self.launch(text + "direct = true\n", (0, 7))["web"], ["serve", "direct", "", "1"])
        for content, api in [(text, (0, 9)), (text.replace('"serve"', '["serve"]'), (0, 8)), (text.replace('"serve"', '["a\\u0000"]'), (0, 9)),
                             (text.replace('"web"', '"a b"'), (0, 8)), (text.replace('"serve"', '["s"]') + "direct = false\n", (0, 9)),
                             (text.replace('"serve"', '["s"]') + "direct = true\n", (0, 9))]:
            with self.subTest(content), self.assertRaises(Failure):
                self.launch(content, api)

    def test_layers_are_kept_for_what_they_are_for(self):
        for name, types in [("a", "launch"), ("b", "build"), ("c", "cache"), ("d", "")]:
            self.write(f"{name}/file")
            self.write(f"{name}.toml", f"[types]\n{types} = true\n" if types else "")
        self.write("e/file")
        self.write("store.toml")
        for layer in layers.of_buildpack(self.folder, "x"):
            layers.set_aside(layer)
        self.assertIn("d.ignore", os.listdir(self.folder))
        layers.keep_launch_layers(self.folder, "x")
        self.assertEqual(sorted(os.listdir(self.folder)), ["a", "a.toml", "store.toml"])

    def test_folders_that_may_not_be_written_are_removed_all_the_same(self):
        def locked(name):
            self.write(f"{name}/go/mod/file")
            for folder in ("go/mod", "go", ""):
                os.chmod(os.path.join(self.folder, name, folder), 0o555)

        for name in ("unused", "left", "left.ignore"):
            locked(name)
        self.write("unused.toml", "[types]\nbuild = true\n")
        self.write("left.toml")
        for layer in layers.of_buildpack(self.folder, "x"):
            layers.set_aside(layer)
        self.assertTrue(os.path.isdir(os.path.join(self.folder, "left.ignore")))
        layers.keep_launch_layers(self.folder, "x")
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_cache_that_cannot_be_used_is_left_out(self):
        cache = self.enterContext(tempfile.TemporaryDirectory())
        for name, toml, mode in [("broken", "[[", 0o555), ("odd", "[types]\nlaunch = 1\n", 0o755), ("deep", "a = " + "[" * 5000, 0o755),
                                 ("moved", "", 0o755)]:
            folder = os.path.join(cache, "layers", name)
            os.makedirs(os.path.join(folder, "layer", "inner"))
            with open(os.path.join(folder, "layer.toml"), "w") as file:
                file.write(toml)
            os.chmod(os.path.join(folder, "layer"), mode)
        # Without the permission to write it, a folder cannot be moved to another one.
        os.chmod(os.path.join(cache, "layers", "moved"), 0o555)
        group = [Element(name, "1") for name in ("broken", "odd", "deep", "moved")]
        restore(group, cache, self.folder)
        self.assertEqual(os.listdir(self.folder), [])

    def test_bills_of_materials_are_collected_when_declared(self):
        self.write("a.toml", "[types]\nlaunch = true\nbuild = true\n")
        self.write("a.sbom.cdx.json", "{}")
        self.write("launch.sbom.cdx.json", "{}")
        found = layers.of_buildpack(self.folder, "x")
        target = self.enterContext(tempfile.TemporaryDirectory())
        with self.assertRaisesRegex(Failure, "does not declare"):
            layers.collect_sboms(self.buildpack(), self.folder, found, target)
        declared = self.buildpack(sbom_formats=["application/vnd.cyclonedx+json;version=1.4"])
        layers.collect_sboms(declared, self.folder, found, target)
        own = os.path.basename(self.folder)
        for path in (f"launch/{own}/sbom.cdx.json", f"launch/{own}/a/sbom.cdx.json", f"build/{own}/a/sbom.cdx.json"):
            self.assertTrue(os.path.isfile(os.path.join(target, path)), path)

    def test_unmet_names_must_be_required(self):
        self.write("build.toml", '[[unmet]]\nname = "x"\n')
        self.assertEqual(met(self.folder, self.buildpack(), [{"name": "x"}, {"name": "y"}]), {"y"})
        with self.assertRaisesRegex(Failure, "nobody required x"):
            met(self.folder, self.buildpack(), [])

    def test_what_is_written_is_read_back(self):
        content = {
            "empty": [], "number": 1.5, "yes": True,
            "entries": [{"name": 'a"\\\n\x7fé', "metadata": {"a b": [1, "x"], "inner": {"launch": False}}}, {"name": "b"}],
        }
        path = os.path.join(self.folder, "x.toml")
        toml_files.write(path, content)
        with open(path, "rb") as file:
            self.assertEqual(tomllib.load(file), content)


if __name__ == "__main__":
    unittest.main()
