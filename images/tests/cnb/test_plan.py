"""Which buildpacks take part."""

import unittest

from buildpacks import Element
from plan import Section, Unresolved, of_buildpack, resolve, without


def result(text, *sections):
    """`a?` is optional; a section is `+provided -required`."""
    element = Element(text.rstrip("?"), "1", text.endswith("?"))
    return element, [section(one) for one in sections or ("",)]


def section(text):
    words = text.split()
    provides = [word[1:] for word in words if word[0] == "+"]
    return Section(provides, [{"name": word[1:]} for word in words if word[0] == "-"])


class Plan(unittest.TestCase):
    CASES = [
        ("nothing to resolve", [result("a"), result("b")], "a b"),
        ("provided before", [result("a", "+x"), result("b", "-x")], "a b"),
        ("provided by itself", [result("a", "+x -x")], "a"),
        ("provided too late", [result("a", "-x"), result("b", "+x")], "a@1 requires x"),
        ("unused", [result("a", "+x"), result("b")], "a@1 provides unused x"),
        ("unused after its last use", [result("a", "+x"), result("b", "-x"), result("c?", "+x")], "a b"),
        ("optional and unused", [result("a?", "+x"), result("b")], "b"),
        ("optional and unmet", [result("a"), result("b?", "-x")], "a"),
        ("leaving one out leaves another unused", [result("a?", "+x"), result("b?", "-x -y"), result("c")], "c"),
        ("an alternative", [result("a", "+x", ""), result("b")], "a b"),
        ("the alternative of the last one first", [result("a?", "+x"), result("b", "-y", "-x")], "a b"),
        ("an alternative before leaving it out", [result("a?", "+y", "+x"), result("b", "-x")], "a b"),
        ("all left out", [result("a?", "-x")], "all optional buildpacks of the group were left out"),
        ("two providers", [result("a", "+x"), result("b", "+x"), result("c", "-x")], "a b c"),
    ]

    def test_plans(self):
        for name, results, expected in self.CASES:
            with self.subTest(name):
                try:
                    found = " ".join(element.id for element in resolve(results)[0])
                except Unresolved as error:
                    found = str(error)
                self.assertEqual(found, expected)

    def test_a_provider_gets_all_requirements_and_later_ones_what_is_unmet(self):
        first, second = result("a", "+x +y"), result("b", "+y -x -y")
        _, entries = resolve([first, second, result("c", "-y")])
        self.assertEqual([one["name"] for one in of_buildpack(entries, first[0])], ["x", "y", "y"])
        self.assertEqual([one["name"] for one in of_buildpack(without(entries, {"y"}), second[0])], [])
        self.assertEqual([one["name"] for one in of_buildpack(without(entries, {"x"}), second[0])], ["y", "y"])


if __name__ == "__main__":
    unittest.main()
