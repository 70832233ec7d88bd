#!/usr/bin/env bash
# The life of the deb in a clean Debian container with this machine's Docker socket: install, start, push
# an app, upgrade while it is asked, remove, purge. Everything that it makes in Docker is gone afterwards.
#
#   packaging/tests/lifecycle.sh DEB
#
# Containers of the platform in the container are siblings of it. It shares this machine's network, as the
# daemon pulls from its registry on a loopback port. There is no systemd in it: the platform runs by
# `cflite up`, and what scripts do with a service is not tested here.
set -euo pipefail
cd "$(dirname "$0")/../.."
deb=$(realpath "$1")
work=$(mktemp -d)
name=cflite-package-test-$$
image=cflite-package-test:$$
platform=''
started=$SECONDS
passed=0

clean_up() {
    local status=$?
    if ((status)); then
        docker exec "$name" sh -c 'tail -n 40 /var/lib/cflite/cflite.log' 2>/dev/null || true
        echo "not ok: the step after the last ok failed" >&2
    fi
    docker rm --force --volumes "$name" >/dev/null 2>&1 || true
    docker image rm --force "$image" >/dev/null 2>&1 || true
    if [[ $platform ]]; then
        docker ps --all --quiet --filter "label=cflite.platform=$platform" | xargs -r docker rm --force --volumes >/dev/null
        docker network ls --quiet --filter "label=cflite.platform=$platform" | xargs -r docker network rm >/dev/null
        docker volume ls --quiet --filter "label=cflite.platform=$platform" | xargs -r docker volume rm --force >/dev/null
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
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
app_status() { curl --silent --output /dev/null --write-out '%{http_code}' --max-time 5 --header "Host: $host" "http://127.0.0.1:$http_port/"; }
# Right after a start the instances are taken over.
app_answers() {
    local end=$((SECONDS + 30))
    until [[ $(app_status) == 200 ]]; do
        ((SECONDS < end)) || { echo "the app answers $(app_status)"; return 1; }
        sleep 0.1
    done
}
owned() { docker "$@" --filter "label=cflite.platform=$platform" --quiet; }

# The same package as an earlier version.
dpkg-deb --raw-extract "$deb" "$work/old"
sed -i 's/^Version: .*/Version: 0.0.1-1/' "$work/old/DEBIAN/control"
dpkg-deb --root-owner-group -Zgzip -z1 --build "$work/old" "$work/old.deb" >/dev/null
cp "$deb" "$work/new.deb"
rm -rf "$work/old"
chmod 755 "$work"

mmdebstrap --variant=apt --include=ca-certificates bookworm - 2>"$work/log" | docker import - "$image" >/dev/null || {
    cat "$work/log"
    exit 1
}
# Certificates of this machine's owner are part of the stack's recipe: with them its images are up to date.
docker run --detach --name "$name" --network host --volume /var/run/docker.sock:/var/run/docker.sock \
    --volume /usr/local/share/ca-certificates:/usr/local/share/ca-certificates:ro --volume "$work:/work:ro" \
    "$image" sleep infinity >/dev/null
# Nothing may start while packages are installed.
inside sh -c 'printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d'
inside apt-get update -qq >/dev/null
inside apt-get install -qq --no-install-recommends docker.io mmdebstrap >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
ok 'a clean container with Docker'

inside apt-get install -qq --no-install-recommends /work/old.deb >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
[[ $(inside id -nG cflite) == 'cflite docker' ]]
[[ $(inside cat /etc/cflite/cflite.toml) == "$(<packaging/cflite.toml)" ]]
inside sh -c "! cat /proc/[0-9]*/comm | grep -x cflite"
inside sh -c '! test -e /var/lib/cflite'
grep -q 'nothing was started' "$work/log"
ok 'installed: a user, settings, nothing started'

http_port=$(free_port) registry_port=$(free_port)
inside sh -c "printf 'http-port = %s\nhttps-port = %s\nregistry-port = %s\n' $http_port $(free_port) $registry_port >>/etc/cflite/cflite.toml"
up() { inside cflite up --config /etc/cflite/cflite.toml --json >"$work/up.json"; }
inside cflite images build --config /etc/cflite/cflite.toml
ok 'stack images are there'
up
platform=$(inside cat /var/lib/cflite/platform-id)
[[ $(inside stat -c %a /var/lib/cflite) == 700 ]]
host=$(inside cflite demo --name hello --json --config /etc/cflite/cflite.toml | jq -r '.url | ltrimstr("http://") | split(":")[0]')
app_answers
app=$(owned ps)
ok 'an app was pushed and answers'

# Asked all the while, and counted: an upgrade of the files disturbs nothing.
(
    failed=0 asked=0
    until [[ -e $work/stop ]]; do
        asked=$((asked + 1))
        [[ $(app_status) == 200 ]] || failed=$((failed + 1))
    done
    echo "$failed of $asked" >"$work/count"
) &
asking=$!
inside apt-get install -qq --no-install-recommends -o Dpkg::Options::=--force-confold /work/new.deb >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
touch "$work/stop"
wait $asking
echo "    requests that failed during the upgrade: $(<"$work/count")"
[[ $(<"$work/count") == '0 of '* ]]
inside grep -q "^http-port = $http_port" /etc/cflite/cflite.toml
[[ $(inside cflite --version) == "cflite $(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)" ]]
ok 'upgraded: settings kept'

inside cflite down --config /etc/cflite/cflite.toml
up
app_answers
[[ $(owned ps) == "$app" ]]
ok 'restarted: the app in the same container'

inside cflite down --config /etc/cflite/cflite.toml
inside apt-get remove -qq cflite >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
inside sh -c '! test -e /usr/bin/cflite && test -e /var/lib/cflite/cflite.db && test -e /etc/cflite/cflite.toml'
[[ $(owned ps) == "$app" ]]
grep -q 'apt purge cflite' "$work/log"
ok 'removed: data, settings and the app are kept'

inside apt-get install -qq --no-install-recommends /work/new.deb >/dev/null 2>&1
up
app_answers
inside cflite down --config /etc/cflite/cflite.toml
ok 'installed again: the app answers'

inside apt-get purge -qq cflite >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
inside sh -c '! test -e /var/lib/cflite && ! test -e /etc/cflite/cflite.toml && ! getent passwd cflite'
for kind in 'ps --all' 'network ls' 'volume ls' 'image ls --all'; do
    # shellcheck disable=SC2086 # words of a command
    left=$(owned $kind)
    [[ -z $left ]] || { echo "docker $kind: $left"; exit 1; }
done
[[ -z $(docker image ls --quiet --filter "reference=cflite/in-use:$platform-*") ]]
ok 'purged: nothing is left in Docker or on the disk'
echo "$passed passed, 0 failed"
