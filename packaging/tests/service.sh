#!/usr/bin/env bash
# The deb as a service of a real systemd, in a Debian container: readiness, a push under the unit's
# protection, reload, sockets, restarts and an upgrade under load, watchdog, removal.
#
#   packaging/tests/service.sh DEB
#
# systemd is process 1 of a container that shares this machine's network and cgroups, without further
# privileges than mounting. Times are measured and printed, never judged.
set -euo pipefail
# shellcheck source=packaging/tests/container.sh
source "$(dirname "$0")/container.sh"
last_words() { docker exec "$name" journalctl --no-pager --unit cflite --lines 40; }
property() { inside systemctl show --property "$1" --value cflite.service; }

# Asks for a path until a file is there, and counts statuses; "closed" is a connection that was accepted
# and then closed before its request was read, as at any end of a keep-alive: clients ask again.
# usage: ask_until FILE HOST PATH RESULT
ask_until() {
    local answer code
    until [[ -e $1 ]]; do
        code=0
        answer=$(status_of "$2" "$3") || code=$?
        case $code in
            0) echo "$answer" ;;
            52 | 56) echo closed ;;
            *) echo "curl-$code" ;;
        esac
    done | sort | uniq -c | awk '{printf " %s:%s", $2, $1}' >"$4"
}
# Fails when a connection was refused or an answer was not 200. usage: under_load NAME COMMAND...
under_load() {
    local what=$1 asking
    shift
    rm -f "$work/stop"
    ask_until "$work/stop" localhost /healthz "$work/api" &
    asking=$!
    ask_until "$work/stop" "$host" / "$work/app" &
    asking="$asking $!"
    "$@"
    touch "$work/stop"
    # shellcheck disable=SC2086 # two processes
    wait $asking
    echo "    answers during $what: API$(<"$work/api"), app$(<"$work/app")"
    grep -q ' 200:' "$work/api" && grep -q ' 200:' "$work/app" && ! grep -E ' ([1345][0-9]{2}|curl-[0-9]+|000):' "$work/api" "$work/app"
}

as_version 99.0-1 newer.deb
cp "$deb" "$work/cflite.deb"

masked='systemd-sysctl systemd-udevd systemd-modules-load getty.target console-getty systemd-timesyncd systemd-resolved
    systemd-networkd apt-daily.timer apt-daily-upgrade.timer systemd-binfmt dev-hugepages.mount systemd-remount-fs systemd-logind'
debian --include=systemd-sysv,dbus,ca-certificates,adduser \
    --customize-hook="chroot \"\$1\" systemctl mask ${masked//$'\n'/ }"
# With one hierarchy (cgroup v2) there is no folder for systemd alone.
cgroups=/sys/fs/cgroup
[[ ! -d $cgroups/systemd ]] || cgroups=$cgroups/systemd
run --cgroupns host --cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
    --tmpfs /run --tmpfs /run/lock --tmpfs /tmp --env container=docker --volume "$cgroups:$cgroups" \
    --volume /var/run/docker.sock:/run/docker-of-the-host.sock -- /lib/systemd/systemd
until_true 60 inside systemctl is-system-running --quiet 2>/dev/null
ok 'systemd runs in a container'

http_port=$(free_port) https_port=$(free_port)
# The group of the socket has another number in the container.
inside groupadd --gid "$(stat -c %g /var/run/docker.sock)" docker
inside apt-get update -qq >/dev/null
apt install /packages/cflite.deb
[[ $(inside systemctl is-active cflite || true) == inactive && $(inside systemctl is-enabled cflite || true) == disabled ]]
docker exec --interactive "$name" tee -a /etc/cflite/cflite.toml >/dev/null <<END
docker-host = "unix:///run/docker-of-the-host.sock"
http-port = $http_port
https-port = $https_port
registry-port = $(free_port)
END
ok 'installed and not started'

inside systemctl start cflite
# The command returned: the API answers.
[[ $(status_of localhost /healthz) == 200 ]]
platform=$(inside cat /var/lib/cflite/platform-id)
[[ $(property StatusText) == 'serving http://api.cf.localhost'* ]]
[[ $(inside stat -c '%U %a' /var/lib/cflite) == 'cflite 700' ]]
inside cflite images build --config /etc/cflite/cflite.toml
host=$(inside cflite demo --name hello --json | jq -r '.url | ltrimstr("http://") | split(":")[0]')
app_answers
ok 'an app was pushed under the protection of the unit'

printf 'registry-cache = "3G"\n' | docker exec --interactive "$name" tee -a /etc/cflite/cflite.toml >/dev/null
pid=$(property MainPID)
inside systemctl reload cflite
until_true 30 sh -c "docker exec $name journalctl --no-pager --unit cflite | grep -q 'changed=registry-cache'"
[[ $(property MainPID) == "$pid" && $(property ActiveState) == active ]]
[[ $(inside journalctl --no-pager --output json --unit cflite --lines 1 | jq -r .PRIORITY) == 6 ]]
ok 'reloaded; lines in the journal have a severity'

inside systemctl stop cflite
for socket in "http $http_port" "https $https_port"; do
    read -r kind port <<<"$socket"
    inside mkdir -p "/etc/systemd/system/cflite-$kind.socket.d" /etc/systemd/system/cflite.service.d
    printf '[Socket]\nListenStream=\nListenStream=127.0.0.1:%s\n' "$port" |
        docker exec --interactive "$name" tee "/etc/systemd/system/cflite-$kind.socket.d/port.conf" >/dev/null
done
printf '[Service]\nAmbientCapabilities=\nCapabilityBoundingSet=\nWatchdogSec=4\n' |
    docker exec --interactive "$name" tee /etc/systemd/system/cflite.service.d/test.conf >/dev/null
inside systemctl daemon-reload
inside systemctl enable --quiet --now cflite-http.socket cflite-https.socket
[[ $(inside systemctl is-active cflite || true) == inactive ]]
[[ $(status_of localhost /healthz) == 200 ]]
[[ $(inside systemctl is-active cflite) == active ]]
ok 'the first connection to a socket of systemd starts it, without any capability'

app_answers
restart_twice() { inside systemctl restart cflite && inside systemctl restart cflite; }
under_load 'two restarts' restart_twice
ok 'restarts refuse no connection, and no app is unknown'

pid=$(property MainPID)
under_load 'an upgrade' apt install /packages/newer.deb
[[ $(property MainPID) != "$pid" ]]
ok 'an upgrade restarts it'

pid=$(property MainPID)
inside sh -c "kill -STOP $pid"
restarted() { [[ $(property NRestarts) == 1 && $(property ActiveState) == active ]]; }
until_true 60 restarted
[[ $(status_of "$host" /) == 200 ]]
ok 'the watchdog restarts one that hangs'

apt purge cflite
inside sh -c '! systemctl is-active --quiet cflite-http.socket && ! test -e /var/lib/cflite'
# No docker command is there: the purge says what stays.
grep -q "cflite.platform=$platform" "$work/log"
[[ -z $(inside find /etc/systemd/system -name 'cflite*' -type l) ]]
ok 'purged'
echo "$passed passed, 0 failed"
