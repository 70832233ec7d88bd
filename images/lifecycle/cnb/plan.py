"""Which buildpacks of a group take part, and what each is to provide. Pure.

A result is (element, sections): the buildpack that passed detection, and its build plan: provides and requires, once for the main part and
once for each alternative. A plan holds when everything required is provided by the same or an earlier buildpack and everything provided is
required by the same or a later one. Optional buildpacks that break this are left out; alternatives are tried in order, those of the last
buildpack first.
"""

from dataclasses import dataclass, field

from buildpacks import Element


@dataclass
class Section:
    """One part of a build plan: names that are provided, and requirements as tables with a name."""

    provides: list = field(default_factory=list)
    requires: list = field(default_factory=list)


@dataclass
class Entry:
    """What one name stands for in the whole plan."""

    providers: list = field(default_factory=list)
    requires: list = field(default_factory=list)


class Unresolved(Exception):
    """No selection of this group has a plan that holds; the text says what the last attempt lacked."""


def resolve(results):
    """The participating elements and the plan, a dictionary of entries by name."""
    reason = "no buildpack passed detection"
    for trial in trials(results):
        try:
            return settle(trial)
        except Unresolved as error:
            reason = str(error)
    raise Unresolved(reason)


def trials(results):
    """All selections of alternatives, as lists of (element, section)."""
    if not results:
        yield []
        return
    (element, sections), rest = results[0], results[1:]
    for index, section in enumerate(sections):
        # Leaving it out comes after its last alternative.
        optional = element.optional and index == len(sections) - 1
        chosen = (Element(element.id, element.version, optional), section)
        for others in trials(rest):
            yield [chosen, *others]


def settle(trial):
    """Leaves out optional buildpacks until the plan holds."""
    while trial:
        entries, faults = combine(trial)
        if not faults:
            return [element for element, _ in trial], entries
        for element, fault in faults:
            if not element.optional:
                raise Unresolved(fault)
        dropped = [element for element, _ in faults]
        trial = [one for one in trial if one[0] not in dropped]
    raise Unresolved("all optional buildpacks of the group were left out")


def combine(trial):
    """The plan of a selection, and who breaks it: (element, why)."""
    entries, unused, faults = {}, {}, []
    for element, section in trial:
        for name in section.provides:
            unused.setdefault(name, []).append(element)
        for required in section.requires:
            name = required["name"]
            offered = unused.pop(name, [])
            entry = entries.get(name)
            if entry is None and not offered:
                faults.append((element, f"{element} requires {name}"))
                continue
            entry = entries.setdefault(name, Entry())
            entry.providers += offered
            entry.requires.append(required)
    for name, elements in unused.items():
        faults += [(element, f"{element} provides unused {name}") for element in elements]
    return entries, faults


def of_buildpack(entries, element):
    """What a buildpack is to provide."""
    mine = (entry for entry in entries.values() if any(one.id == element.id for one in entry.providers))
    return [required for entry in mine for required in entry.requires]


def without(entries, names):
    """The plan for later buildpacks, after these names were provided."""
    return {name: entry for name, entry in entries.items() if name not in names}
