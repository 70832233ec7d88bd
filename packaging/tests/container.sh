#!/usr/bin/env bash
# What the tests of the deb in a container share; sourced by them with the deb as first argument. Sets
# `deb`, `work` (a folder that containers see as /packages) and `name`, the container.
#
# Whoever sources it sets `platform` once it knows it: what that made in Docker is gone at the end.

cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
deb=$(realpath "$1")
work=$(mktemp -d)
chmod 755 "$work"
name=cflite-$(basename "$0" .sh)-test-$$
image=$name
platform='' host='' http_port=''
started=$SECONDS
passed=0

clean_up() {
    local status=$? kind
    if ((status)); then
        last_words 2>/dev/null || true
        echo "not ok: the step after the last ok failed" >&2
    fi
    docker rm --force --volumes "$name" >/dev/null 2>&1 || true
    docker image rm --force "$image" >/dev/null 2>&1 || true
    if [[ $platform ]]; then
        owned ps --all | xargs -r docker rm --force --volumes >/dev/null
        for kind in network volume image; do
            owned $kind ls | sort -u | xargs -r docker $kind rm >/dev/null || true
        done
        docker image rm --force "cflite/in-use:$platform-run" "cflite/in-use:$platform-build" >/dev/null 2>&1 || true
    fi
    rm -rf "$work"
    exit "$status"
}
trap clean_up EXIT

ok() {
    passed=$((passed + 1))
    echo "ok $1 ($((SECONDS - started)) s)"
}

inside() { docker exec --env DEBIAN_FRONTEND=noninteractive "$name" "$@"; }

# apt-get in the container, quiet unless it fails. usage: apt COMMAND PACKAGE...
apt() {
    local command=$1
    shift
    inside apt-get "$command" -qq --no-install-recommends -o Dpkg::Options::=--force-confold "$@" >"$work/log" 2>&1 ||
        { cat "$work/log"; return 1; }
}

# What the platform under test made. usage: owned LIST-COMMAND...
owned() { docker "$@" --filter "label=cflite.platform=$platform" --quiet; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# The status of an answer. usage: status_of HOST PATH
status_of() {
    curl --silent --output /dev/null --write-out '%{http_code}' --max-time 30 --header "Host: $1" "http://127.0.0.1:$http_port$2"
}

app_is_there() { [[ $(status_of "$host" /) == 200 ]]; }

# usage: until_true SECONDS COMMAND...
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || { echo "not in time: $*"; return 1; }
        sleep 0.2
    done
}

# Right after a start the instances are taken over.
app_answers() { until_true 30 app_is_there; }

# The same package with another version. usage: as_version VERSION FILE
as_version() {
    dpkg-deb --raw-extract "$deb" "$work/contents"
    sed -i "s/^Version: .*/Version: $1/" "$work/contents/DEBIAN/control"
    dpkg-deb --root-owner-group -Zgzip -z1 --build "$work/contents" "$work/$2" >/dev/null
    rm -rf "$work/contents"
}

# A Debian of its own, as an image. usage: debian OPTION-OF-MMDEBSTRAP...
debian() {
    mmdebstrap --variant=apt "$@" bookworm - 2>"$work/log" | docker import - "$image" >/dev/null || { cat "$work/log"; return 1; }
}

# Starts the container on the network of this machine. What is built in it downloads with the certificates of its
# owner. usage: run OPTION-OF-DOCKER... -- COMMAND...
run() {
    local options=()
    while [[ $1 != -- ]]; do
        options+=("$1")
        shift
    done
    shift
    docker run --detach --name "$name" --network host --volume "$work:/packages:ro" \
        --volume /usr/local/share/ca-certificates:/usr/local/share/ca-certificates:ro "${options[@]}" "$image" "$@" >/dev/null
}
