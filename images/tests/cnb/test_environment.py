"""The environment of scripts."""

import os
import tempfile
import unittest

import environment


def write(folder, files):
    for name, content in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", newline="") as file:
            file.write(content)


class Environment(unittest.TestCase):
    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory())

    def test_files_of_a_layer_are_actions(self):
        write(self.folder, {
            "env/A": "new", "env/B.override": "new\n", "env/C.append": "2", "env/C.delim": ",", "env/D.prepend": "1",
            "env/E.default": "new", "env/F.default": "new", "env/G.append": "only", "env/G.delim": ",", "env/H.unknown": "x",
            "env.build/A.append": "!", "env.launch/A": "not at build time",
        })
        variables = {"A": "old", "B": "old", "C": "1", "D": "2", "E": "old"}
        environment.add_layer(variables, self.folder)
        expected = {"A": "new!", "B": "new\n", "C": "1,2", "D": "12", "E": "old", "F": "new", "G": "only"}
        self.assertEqual(variables, expected)

    def test_folders_of_a_layer_come_first(self):
        write(self.folder, {"bin/x": "", "lib/x": "", "include/x": "", "pkgconfig/x": ""})
        variables = {"PATH": "/bin"}
        environment.add_layer(variables, self.folder)
        self.assertEqual(variables["PATH"], f"{self.folder}/bin:/bin")
        for name, inner in (("LD_LIBRARY_PATH", "lib"), ("LIBRARY_PATH", "lib"), ("CPATH", "include"), ("PKG_CONFIG_PATH", "pkgconfig")):
            self.assertEqual(variables[name], f"{self.folder}/{inner}")

    def test_scripts_see_the_users_variables_and_little_else(self):
        write(self.folder, {"env/PATH": "/mine", "env/A": "1\n"})
        container = {"PATH": "/bin", "HOME": "/home/vcap", "SECRET": "x", "http_proxy": "p", "CNB_STACK_ID": "s"}
        variables = environment.with_platform(environment.of_build(container), self.folder)
        expected = {"PATH": "/mine:/bin", "HOME": "/home/vcap", "http_proxy": "p", "CNB_STACK_ID": "s", "A": "1\n"}
        self.assertEqual(variables, expected)


if __name__ == "__main__":
    unittest.main()
