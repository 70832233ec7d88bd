#!/usr/bin/env bash
# A web server in a few lines: answers each connection with the name and the index of the app's instance.
name=$(jq -r '.name? // "app"' <<< "${VCAP_APPLICATION:-null}")
echo "$name listens on $PORT"
trap 'echo stopping; exit 0' TERM
while true; do
  body="Hello from $name, instance ${CF_INSTANCE_INDEX:-0}"
  printf 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n' "$((${#body} + 1))" "$body" |
    nc -q 1 -l "$PORT" &
  # A shell acts on a signal between commands: waiting for one in the background lets it do so at once.
  wait $!
done
