"""Whether a version satisfies a constraint as composer.json writes them: ^8.1 || ~8.2.0, >=8.0 <9, 8.*, 8.1 - 8.3."""
import re

PART = re.compile(r"(\^|~|>=|<=|!=|<>|==|=|>|<)?\s*v?(\d+(?:\.(?:\d+|[xX*]))*|[xX*])(?:-\w+)?(?:@\w+)?")


def numbers(text):
    return [int(part) for part in text.split(".") if part.isdigit()]


def padded(parts):
    return (parts + [0, 0, 0])[:3]


def after(parts):
    """The first version that no longer starts with these numbers."""
    return padded(parts[:-1] + [parts[-1] + 1])


def matches_part(version, operator, text):
    parts = numbers(text)
    if not parts:
        return True
    low = padded(parts)
    if operator == "^":
        fixed = next((index for index, part in enumerate(parts) if part), len(parts) - 1)
        return low <= version < after(parts[:fixed + 1])
    if operator == "~":
        return low <= version < after(parts[:-1] or parts)
    if operator == ">=":
        return version >= low
    if operator == "<=":
        return version <= low
    if operator == ">":
        return version > low
    if operator == "<":
        return version < low
    if operator in ("!=", "<>"):
        return version != low
    # A plain version with a wildcard, else exactly this one.
    return low <= version < after(parts) if len(parts) < len(text.split(".")) else version == low


def matches_all(version, text):
    span = re.fullmatch(r"\s*v?([\d.]+)\s+-\s+v?([\d.]+)\s*", text)
    if span:
        low, high = numbers(span[1]), numbers(span[2])
        return padded(low) <= version and (version <= padded(high) if len(high) > 2 else version < after(high))
    parts = PART.findall(text)
    if not parts or PART.sub("", text).strip(" ,\t"):
        raise ValueError(text)
    return all(matches_part(version, operator, number) for operator, number in parts)


def satisfies(version, constraint):
    """Raises ValueError for what is no constraint."""
    version = padded(numbers(version))
    return any([matches_all(version, text) for text in re.split(r"\|\|?", constraint)])
