"""Prints JAVA_OPTS for the app: the buildpack's own options, the configured ones, the app's own ones. They come last, so that they win.

In all of them $NAME and ${NAME} stand for variables of the environment, \\$ for a dollar. Commands are never executed.
"""

import json
import os
import re
import sys

import truststore

folder = os.path.dirname(os.path.abspath(__file__))


def expand(text):
    return re.sub(
        r"\\\$|\$\{(\w+)\}|\$([A-Za-z_]\w*)",
        lambda match: "$" if match[0] == "\\$" else os.environ.get(match[1] or match[2], ""),
        text,
    )


def trust():
    """The platform's certificate authorities are known only here: a key store with them and the stack's."""
    if not truststore.platform_files():
        return []
    path = os.path.join(os.environ.get("TMPDIR", "/tmp"), "java-truststore.jks")
    try:
        truststore.write(path)
    except OSError as error:
        print(f"The platform's certificates cannot be added to those that Java trusts: {error}", file=sys.stderr)
        return []
    return [f"-Djavax.net.ssl.trustStore={path}", f"-Djavax.net.ssl.trustStorePassword={truststore.PASSWORD}"]


def main():
    with open(os.path.join(folder, "options.json"), encoding="utf-8") as file:
        settings = json.load(file)
    options = [
        "-Djava.io.tmpdir=$TMPDIR",
        f"-XX:ActiveProcessorCount={len(os.sched_getaffinity(0))}",
        "-XX:+ExitOnOutOfMemoryError",
        f"-XX:OnOutOfMemoryError={folder}/out-of-memory",
    ]
    options += trust() + settings["options"] + settings["configured"]
    if settings["from_environment"]:
        # Manifests fold long values over several lines.
        options.append(re.sub(r"[\r\n]+", " ", os.environ.get("JAVA_OPTS", "")))
    print(expand(" ".join(option for option in options if option)).strip())


main()
