# shellcheck shell=bash
# shellcheck disable=SC1083  # supply puts the number in the place of {{idx}}
# What Java apps find in their environment.
export JAVA_HOME=$DEPS_DIR/{{idx}}/jre JRE_HOME=$DEPS_DIR/{{idx}}/jre
# The C library's arenas grow with the threads; that memory is in no limit of the JVM.
export MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-2}
JAVA_OPTS=$(python3 "$DEPS_DIR/{{idx}}/java/options.py") && export JAVA_OPTS
