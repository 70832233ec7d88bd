"""Groovy scripts: which of them is the app."""

import os
import re


def text_of(file):
    data = file.read_bytes()
    return "" if len(data) < 10 or b"\0" in data else data.decode("utf-8", "replace")


def has_main(text):
    return re.search(r"static\s+void\s+main\s*\(", text) is not None


def has_class(text):
    return re.search(r"class\s+\w+[\s\w]*\{", text) is not None


def scripts_in(app):
    return [file for file in sorted(app.glob("*.groovy")) if text_of(file)]


def main_script(scripts):
    """The only one that can be run by itself; without such a one, or with several, the first by name. GROOVY_SCRIPT names another."""
    asked = os.environ.get("GROOVY_SCRIPT")
    if asked:
        return asked
    able = [file for file in scripts for text in [text_of(file)] if has_main(text) or not has_class(text) or text.startswith("#!")]
    return (able if len(able) == 1 else scripts)[0].name


def is_spring_boot_cli(app):
    """Classes or bean definitions only, nothing that Groovy could run by itself."""
    texts = [text_of(file) for file in app.rglob("*.groovy") if "ch/qos/logback" not in file.as_posix()]
    texts = [text for text in texts if text]
    return (
        bool(texts)
        and not (app / "WEB-INF").is_dir()
        and not any(app.rglob("*.class"))
        and all(has_class(text) or re.search(r"beans\s*\{", text) for text in texts)
        and not any(has_main(text) or text.startswith("#!") for text in texts)
    )
