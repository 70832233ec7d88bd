"""Prints the lines of php.ini that load extensions, in an order in which each finds what it needs.

usage: extensions.py basic|asked NAME…
basic prints those that every PHP of the official buildpack has compiled in. For a name that this stack lacks, a line that says so goes
to standard error.
"""
import glob
import os
import re
import subprocess
import sys

FOLDER = subprocess.run(["php", "-n", "-r", "echo PHP_EXTENSION_DIR;"], capture_output=True, text=True, check=True).stdout
BASIC = ["bcmath", "calendar", "ctype", "dom", "iconv", "intl", "mysqlnd", "phar", "posix", "simplexml", "sqlite3", "tokenizer", "xml",
         "xmlreader", "xmlwriter"]
NEEDS = {"pdo_mysql": ["pdo"], "pdo_odbc": ["pdo"], "pdo_pgsql": ["pdo"], "pdo_sqlite": ["pdo"], "redis": ["igbinary"],
         "memcached": ["igbinary", "msgpack"], "mailparse": ["mbstring"], "solr": ["curl"], "exif": ["mbstring"]}
ZEND = {"opcache", "xdebug"}
SKIPPED = {"cli", "cgi", "fpm", "pear"}


def priority(name):
    """Debian numbers extensions by what has to be there first."""
    for path in glob.glob(f"/etc/php/*/mods-available/{name}.ini"):
        with open(path) as file:
            found = re.search(r"priority=(\d+)", file.read())
            if found:
                return int(found[1])
    return 20


def main(kind, asked):
    names, missing = [], []
    modules = subprocess.run(["php", "-n", "-m"], capture_output=True, text=True, check=True).stdout.lower()
    compiled = {line for line in modules.splitlines() if not line.startswith("[")}
    basic = set(BASIC)
    for name in BASIC if kind == "basic" else asked:
        plain = name.strip().lower().removesuffix(".so").replace("zend-", "").replace("zend ", "")
        if plain in SKIPPED or plain in compiled:
            continue
        if not re.fullmatch(r"[a-z0-9_]+", plain) or not os.path.isfile(f"{FOLDER}/{plain}.so"):
            missing.append(name)
            continue
        names += [need for need in NEEDS.get(plain, []) if need not in names] + [plain]
    if kind == "asked":
        names = [name for name in names if name not in basic]
    # Debian's own order; one that is needed comes with a lower number or earlier in the alphabet.
    for name in sorted(set(names), key=lambda name: (priority(name), name not in sum(NEEDS.values(), []), name)):
        print(f"zend_extension={name}.so" if name in ZEND else f"extension={name}.so")
    for name in dict.fromkeys(missing):
        print(f"The extension '{name}' is not provided by this buildpack.", file=sys.stderr)


main(sys.argv[1], sys.argv[2:])
