#!/usr/bin/env bash
# A tour with a client nobody here wrote: PyPI's cloudfoundry-client, pinned by hash, in an
# environment of its own, against a platform of its own. Says in one line that it was skipped, and
# why, where the client cannot be had. Needs the Docker daemon; CFLITE_BINARY names the binary.
set -uo pipefail
cd "$(dirname "$0")/../../.." || exit 1

cflite=${CFLITE_BINARY:?names the binary under test}
python=${PYTHON:-python3}
data=$(mktemp -d)

finish() {
    if [[ -e $data/cflite ]]; then
        "$cflite" down --data-dir "$data/cflite" >/dev/null 2>&1
        "$cflite" reset --yes --keep-images --data-dir "$data/cflite" >/dev/null 2>&1
    fi
    rm -rf "$data"
}
trap finish EXIT

if ! "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    echo "skipped: cloudfoundry-client needs Python 3.10 or later with venv"
    exit 0
fi
"$python" -m venv "$data/venv" || exit 1
if ! "$data/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
    --require-hashes --requirement tests/clients/python/requirements.txt 2>"$data/pip.log"; then
    # A wrong hash is a failure; a network that is not there is not.
    if grep -qE "HASHES|hash" "$data/pip.log"; then
        cat "$data/pip.log"
        echo "0 passed, 1 failed"
        exit 1
    fi
    echo "skipped: cloudfoundry-client could not be installed: $(tail -n 1 "$data/pip.log")"
    exit 0
fi

"$cflite" up --data-dir "$data/cflite" --http-port 0 --https-port 0 --registry-port 0 >/dev/null || exit 1
CFLITE_PASSWORD=$("$cflite" credentials --data-dir "$data/cflite" --json | jq -r .password)
export CFLITE_PASSWORD
# The certificate is the platform's own, and not looked at here.
export PYTHONWARNINGS=ignore
# But it is where the client streams logs.
export SSL_CERT_FILE=$data/cflite/pki/authority.pem
status=0
for scheme in http https; do
    CFLITE_TARGET=$scheme://localhost:$(jq -r ".${scheme}_port" "$data/cflite/running.json")
    export CFLITE_TARGET
    echo "over $scheme"
    "$data/venv/bin/python" tests/clients/python/tour.py || status=1
done
((status == 0))
