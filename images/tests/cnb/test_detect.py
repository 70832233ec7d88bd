"""Groups: orders of composite buildpacks, and what happens when none passes."""

import os
import tempfile
import unittest

import buildpacks
from buildpacks import Buildpack, Element, Store
from detect import Detector, read_plan
from report import Failure


class Detect(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())
        self.store = Store()

    def buildpack(self, name, detect="exit 0", **more):
        folder = os.path.join(self.folder, name)
        os.makedirs(os.path.join(folder, "bin"))
        path = os.path.join(folder, "bin", "detect")
        with open(path, "w") as file:
            file.write(f"#!/bin/bash\n{detect}\n")
        os.chmod(path, 0o755)
        self.store.add(Buildpack(folder, (0, 10), name, "1", **more))

    def composite(self, name, *groups):
        order = [[Element(one.rstrip("?"), "1", one.endswith("?")) for one in group.split()] for group in groups]
        self.store.add(Buildpack(self.folder, (0, 10), name, "1", order=order))

    def detect(self, *groups):
        order = [[Element(one.rstrip("?"), "1", one.endswith("?")) for one in group.split()] for group in groups]
        container = {"PATH": os.environ["PATH"]}
        found, _ = Detector(self.store, self.folder, self.folder, container).detect(order)
        return " ".join(element.id for element in found)

    def test_the_first_group_that_passes_is_taken(self):
        self.buildpack("a", "exit 100")
        self.buildpack("b")
        self.buildpack("c")
        self.composite("either", "a", "b")
        for groups, expected in [
            (["a", "b"], "b"), (["a? b"], "b"), (["either c"], "b c"), (["c either"], "c b"), (["b c b"], "b c"),
        ]:
            with self.subTest(groups):
                self.assertEqual(self.detect(*groups), expected)

    def test_an_optional_composite_buildpack_may_be_left_out(self):
        self.buildpack("a", "exit 100")
        self.buildpack("b")
        self.composite("never", "a")
        self.assertEqual(self.detect("never? b"), "b")

    def test_scripts_write_a_plan_and_see_where_they_are(self):
        self.buildpack("a", 'printf \'[[provides]]\\nname = "x"\\n\' > "$CNB_BUILD_PLAN_PATH"')
        self.buildpack("b", '[[ $CNB_TARGET_OS == linux && -d $CNB_BUILDPACK_DIR ]] && printf \'[[requires]]\\nname = "x"\\n\' > "$2"')
        self.assertEqual(self.detect("a b"), "a b")

    def test_the_version_of_a_requirement_belongs_into_its_metadata(self):
        path = os.path.join(self.folder, "plan.toml")
        for version, fits in [('""', True), ('"1"', False), ("0", False)]:
            with open(path, "w") as file:
                file.write(f'[[requires]]\nname = "x"\nversion = {version}\n')
            with self.subTest(version):
                if fits:
                    self.assertEqual(read_plan(path, "it")[0].requires, [{"name": "x"}])
                else:
                    self.assertRaisesRegex(Failure, 'the key "version"', read_plan, path, "it")

    def test_failures_say_why(self):
        self.buildpack("no", "echo sorry; exit 100")
        self.buildpack("broken", "exit 3")
        self.buildpack("odd", 'echo "[[" > "$2"')
        self.buildpack("elsewhere", targets=[{"os": "plan9"}])
        self.buildpack("needy", 'printf \'[[requires]]\\nname = "x"\\n\' > "$2"')
        self.composite("circle", "circle2")
        self.composite("circle2", "circle")
        for group, code, text in [
            ("no", 233, "no group of buildpacks passed detection: fail: no@1"),
            ("broken", 233, "bin/detect of broken@1 ended with an error"),
            ("odd", 233, "bin/detect of odd@1 ended with an error"),
            ("elsewhere", 233, "bin/detect of elsewhere@1 ended with an error"),
            ("needy", 233, "no group of buildpacks passed detection: pass: needy@1; fail: needy@1 requires x"),
            ("missing", 232, "the buildpack missing@1, which an order names, is not in what was given"),
            ("circle", 232, "the orders of the composite buildpacks are nested more than 20 levels deep"),
        ]:
            with self.subTest(group), self.assertRaises(Failure) as caught:
                self.detect(group)
            self.assertEqual((caught.exception.code, str(caught.exception)), (code, text))


class Descriptions(unittest.TestCase):
    def test_malformed_buildpacks_are_refused(self):
        head = 'api = "0.10"\n[buildpack]\nid = "x"\nversion = "1"\n'
        for content, text in [
            ("", "api is not a text"), ("[[", "cannot be read"), (head.replace("0.10", "0.2"), "the buildpack API '0.2' is not supported"),
            (head.replace('"x"', '"../x"'), "is not the id of a buildpack"), (head.replace('"x"', '"sbom"'), "is not the id of a buildpack"),
            (head.replace('version = "1"', ""), "version is not a text"), (head, "bin/detect is missing or not executable"),
            (head + "[[order]]\ngroup = 1\n", "group is not an array of tables"),
        ]:
            with self.subTest(content), tempfile.TemporaryDirectory() as folder:
                with open(os.path.join(folder, "buildpack.toml"), "w") as file:
                    file.write(content if content != "" else "[buildpack]\nid='x'\n")
                with self.assertRaisesRegex(Failure, text):
                    buildpacks.read(folder)


if __name__ == "__main__":
    unittest.main()
