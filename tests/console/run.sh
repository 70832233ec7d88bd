#!/usr/bin/env bash
# Drives the web console with Debian's Chromium; says in one line that it was skipped when there is
# no Chromium, no Node.js or no answer of the npm registry. Needs the Docker daemon; CFLITE_BINARY names the binary under test.
#
#   run.sh [PLAYWRIGHT OPTIONS]    such as --grep journey, or a file
#
# CONSOLE_SCREENSHOTS names a folder: then the pictures of docs/console.md are made there, too.
set -uo pipefail
cd "$(dirname "$0")" || exit 1

chromium=${CHROMIUM:-$(command -v chromium || true)}
for tool in "$chromium" node npm jq; do
    if ! command -v "${tool:-chromium}" >/dev/null 2>&1; then
        echo "skipped: no ${tool:-chromium} on PATH"
        exit 0
    fi
done
cflite=${CFLITE_BINARY:?names the binary under test}
data=$(mktemp -d)
finish() {
    "$cflite" reset --yes --keep-images --data-dir "$data/cflite" >/dev/null 2>&1
    rm -rf "$data"
}
trap finish EXIT

mkdir "$data/tests" && cp ./*.js ./*.json "$data/tests/" && cd "$data/tests" || exit 1
if ! PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund --loglevel=error; then
    npm ping --fetch-retries=0 --fetch-timeout=10000 >/dev/null 2>&1 && exit 1
    echo "skipped: the npm registry does not answer"
    exit 0
fi
port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
http=$(port)
"$cflite" up --data-dir "$data/cflite" --http-port "$http" --https-port "$(port)" --registry-port "$(port)" || exit 1
password=$("$cflite" credentials --json --data-dir "$data/cflite" | jq -r .password)
CHROMIUM=$chromium CONSOLE_URL=http://localhost:$http CONSOLE_PASSWORD=$password CONSOLE_OUTPUT=$data/output \
    timeout --kill-after=10 900 npx playwright test "$@"
