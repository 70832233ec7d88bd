"""Reading TOML with a cause that names the file, and writing the little that the lifecycle writes."""

import json
import re
import tomllib

from report import Failure, one_line

# Larger files are no descriptions.
MAX_SIZE = 4 << 20


def read(path, code, shown):
    """The tables of a file; a missing file is an empty one. `shown` names it in a failure."""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_SIZE + 1)
        if len(content) > MAX_SIZE:
            raise Failure(code, f"{shown} is larger than {MAX_SIZE >> 20} MB")
        return tomllib.loads(content.decode("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Failure(code, f"{shown} cannot be read: {one_line(error)}") from error


def tables(parent, key, code, shown):
    """An array of tables, empty when it is not there."""
    found = parent.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Failure(code, f"{shown}: {key} is not an array of tables")
    return found


def text(parent, key, code, shown, default=None):
    """A text, which must be there without a default."""
    found = parent.get(key, default)
    if not isinstance(found, str):
        raise Failure(code, f"{shown}: {key} is not a text")
    if "\0" in found:
        raise Failure(code, f"{shown}: {key} has a null character")
    return found


def texts(parent, key, code, shown):
    """An array of texts, empty when it is not there."""
    found = parent.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise Failure(code, f"{shown}: {key} is not an array of texts")
    if any("\0" in one for one in found):
        raise Failure(code, f"{shown}: {key} has a null character")
    return found


def table(parent, key, code, shown):
    """A table, empty when it is not there."""
    found = parent.get(key, {})
    if not isinstance(found, dict):
        raise Failure(code, f"{shown}: {key} is not a table")
    return found


def value(content):
    """A value as TOML: what JSON writes of texts, numbers and arrays is also TOML."""
    if isinstance(content, dict):
        pairs = (f"{bare(key)} = {value(inner)}" for key, inner in content.items() if inner is not None)
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(content, list):
        return "[" + ", ".join(value(inner) for inner in content) + "]"
    if isinstance(content, str):
        return quoted(content)
    if isinstance(content, bool):
        return "true" if content else "false"
    if isinstance(content, float):
        # inf and nan are the same words in TOML.
        return repr(content)
    # Dates and times write themselves as TOML does.
    return content.isoformat() if hasattr(content, "isoformat") else str(content)


def bare(key):
    """A key, in quotes when it needs them."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else quoted(key)


def quoted(words):
    # JSON leaves DEL alone, which TOML wants escaped.
    return json.dumps(words, ensure_ascii=False).replace("\x7f", "\\u007f")


def write(path, content):
    """Writes a dictionary: arrays of tables as such, all else as `key = value`."""
    lines, last = [], []
    for key, inner in content.items():
        if isinstance(inner, list) and inner and all(isinstance(one, dict) for one in inner):
            for one in inner:
                last.append(f"\n[[{key}]]")
                last += [f"{bare(name)} = {value(part)}" for name, part in one.items() if part is not None]
        elif inner is not None:
            lines.append(f"{bare(key)} = {value(inner)}")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines + last).lstrip("\n") + "\n")
