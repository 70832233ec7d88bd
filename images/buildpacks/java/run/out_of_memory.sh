#!/bin/sh
# What the JVM calls when an allocation failed, just before it exits.
printf '%s\n' "Resource exhaustion event: the JVM was unable to allocate memory, and exits so that the instance is restarted." \
  "Its limits are in the line 'JVM Memory Configuration' above. More memory: cf scale APP -m; a larger part of it: JAVA_OPTS with -Xmx," \
  "-XX:MaxMetaspaceSize or another of these options; what fills it: JAVA_OPTS with -XX:+HeapDumpOnOutOfMemoryError." >&2
