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
# shellcheck source=packaging/tests/container.sh
source "$(dirname "$0")/container.sh"
last_words() { docker exec "$name" tail -n 40 /var/lib/cflite/cflite.log; }

as_version 0.0.1-1 old.deb
cp "$deb" "$work/new.deb"
debian --include=ca-certificates
run --volume /var/run/docker.sock:/var/run/docker.sock -- sleep infinity
# Nothing may start while packages are installed.
inside sh -c 'printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d'
inside apt-get update -qq >/dev/null
apt install docker.io mmdebstrap
ok 'a clean container with Docker'

apt install /packages/old.deb
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
        app_is_there || failed=$((failed + 1))
    done
    echo "$failed of $asked" >"$work/count"
) &
asking=$!
apt install /packages/new.deb
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
apt remove cflite
inside sh -c '! test -e /usr/bin/cflite && test -e /var/lib/cflite/cflite.db && test -e /etc/cflite/cflite.toml'
[[ $(owned ps) == "$app" ]]
grep -q 'apt purge cflite' "$work/log"
ok 'removed: data, settings and the app are kept'

apt install /packages/new.deb
up
app_answers
inside cflite down --config /etc/cflite/cflite.toml
ok 'installed again: the app answers'

apt purge cflite
inside sh -c '! test -e /var/lib/cflite && ! test -e /etc/cflite/cflite.toml && ! getent passwd cflite'
for kind in 'ps --all' 'network ls' 'volume ls' 'image ls --all'; do
    # shellcheck disable=SC2086 # words of a command
    left=$(owned $kind)
    [[ -z $left ]] || { echo "docker $kind: $left"; exit 1; }
done
[[ -z $(docker image ls --quiet --filter "reference=cflite/in-use:$platform-*") ]]
ok 'purged: nothing is left in Docker or on the disk'
echo "$passed passed, 0 failed"
