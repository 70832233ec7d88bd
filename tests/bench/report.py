"""What a run found: rows, their verdicts, the table and the JSON file."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEADINGS = ("what", "measured", "peer", "budget", "verdict")


class NotMeasured(Exception):
    """A figure cannot be had on this machine or from this platform; the text says why."""


@dataclass
class Row:
    """One line of the table, with all samples behind it."""

    what: str
    measured: str = ""
    peer: str = ""
    budget: str = ""
    verdict: str = ""
    samples: dict[str, Any] = field(default_factory=dict)

    def cells(self) -> tuple[str, ...]:
        """The columns, in the order of HEADINGS."""
        return (self.what, self.measured, self.peer, self.budget, self.verdict)


def judge(*within: bool) -> str:
    """The verdict of figures that are, or are not, within their budgets."""
    return "ok" if all(within) else "over"


def not_measured(what: str, why: BaseException) -> Row:
    """The row of a figure that could not be had."""
    text = str(why) or type(why).__name__
    if not isinstance(why, NotMeasured):
        text = f"{type(why).__name__}: {text}"
    first_line = text.strip().splitlines()[0][:160]
    return Row(what, verdict=f"not measured: {first_line}", samples={"error": text})


def table(rows: list[Row]) -> str:
    """All rows as aligned text."""
    lines = [HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    # A reason may be long: nothing stands to the right of it.
    widths[-1] = len(HEADINGS[-1])
    rule = tuple("-" * width for width in widths)
    aligned = [
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip()
        for line in (lines[0], rule, *lines[1:])
    ]
    return "\n".join(aligned)


def save(path: Path, machine: dict[str, Any], rows: list[Row]) -> None:
    """Writes everything, raw samples included."""
    document = {
        "machine": machine,
        "rows": [
            {**dict(zip(HEADINGS, row.cells())), "samples": row.samples} for row in rows
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
