#!/bin/sh
# Compiles the sample into hello.jar. Needs a JDK, 17 or newer.
set -e
cd "$(dirname "$0")"
classes=$(mktemp -d)
javac --release 17 -d "$classes" Hello.java
jar cfe hello.jar Hello -C "$classes" .
rm -r "$classes"
