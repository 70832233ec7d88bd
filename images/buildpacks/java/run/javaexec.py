#!/usr/bin/env python3
"""Becomes the JVM, with JAVA_OPTS before the other arguments. usage: javaexec JAVA [ARGUMENT…]

JAVA_OPTS is split into words as a shell does it, with quotes and backslashes, but nothing in it is expanded or executed.
"""

import os
import shlex
import sys

java, *arguments = sys.argv[1:] or sys.exit("usage: javaexec JAVA [ARGUMENT…]")
try:
    options = shlex.split(os.environ.get("JAVA_OPTS", ""))
except ValueError as error:
    sys.exit(f"JAVA_OPTS cannot be read: {error}")
try:
    os.execvp(java, [java, *options, *arguments])
except OSError as error:
    sys.exit(f"{java} cannot be started: {error}")
