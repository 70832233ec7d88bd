#!/usr/bin/env bash
# The deb as a service of a real systemd, in a Debian container: readiness, a push under the unit's
# protection, reload, sockets, restarts and an upgrade under load, watchdog, removal.
#
#   packaging/tests/service.sh DEB
#
# systemd is process 1 of a container that shares this machine's network and cgroups, without further
# privileges than mounting. Times are measured and printed, never judged.
set -euo pipefail
cd "$(dirname "$0")/../.."
deb=$(realpath "$1")
work=$(mktemp -d)
name=cflite-service-test-$$
image=cflite-service-test:$$
platform=''
passed=0
started=$SECONDS

clean_up() {
    local status=$?
    if ((status)); then
        docker exec "$name" journalctl --no-pager --unit cflite --lines 40 2>/dev/null || true
        echo "not ok: the step after the last ok failed" >&2
    fi
    docker rm --force --volumes "$name" >/dev/null 2>&1 || true
    docker image rm --force "$image" >/dev/null 2>&1 || true
    if [[ $platform ]]; then
        local kind
        docker ps --all --quiet --filter "label=cflite.platform=$platform" | xargs -r docker rm --force --volumes >/dev/null
        for kind in network volume image; do
            docker $kind ls --quiet --filter "label=cflite.platform=$platform" | sort -u | xargs -r docker $kind rm >/dev/null || true
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
property() { inside systemctl show --property "$1" --value cflite.service; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
# usage: until_true SECONDS COMMAND...
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < end)) || return 1
        sleep 0.2
    done
}
status_of() { curl --silent --output /dev/null --write-out '%{http_code}' --max-time 30 --header "Host: $1" "http://127.0.0.1:$http_port$2"; }

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

dpkg-deb --raw-extract "$deb" "$work/newer"
sed -i 's/^Version: .*/Version: 99.0-1/' "$work/newer/DEBIAN/control"
dpkg-deb --root-owner-group -Zgzip -z1 --build "$work/newer" "$work/newer.deb" >/dev/null
rm -rf "$work/newer"
cp "$deb" "$work/cflite.deb"
chmod 755 "$work"

masked='systemd-sysctl systemd-udevd systemd-modules-load getty.target console-getty systemd-timesyncd systemd-resolved
    systemd-networkd apt-daily.timer apt-daily-upgrade.timer systemd-binfmt dev-hugepages.mount systemd-remount-fs systemd-logind'
mmdebstrap --variant=apt --include=systemd-sysv,dbus,ca-certificates,adduser \
    --customize-hook="chroot \"\$1\" systemctl mask ${masked//$'\n'/ }" bookworm - 2>"$work/log" |
    docker import - "$image" >/dev/null || { cat "$work/log"; exit 1; }
# With one hierarchy (cgroup v2) there is no folder for systemd alone.
cgroups=/sys/fs/cgroup
[[ ! -d $cgroups/systemd ]] || cgroups=$cgroups/systemd
docker run --detach --name "$name" --network host --cgroupns host --cap-add SYS_ADMIN --security-opt seccomp=unconfined \
    --security-opt apparmor=unconfined --tmpfs /run --tmpfs /run/lock --tmpfs /tmp --env container=docker \
    --volume "$cgroups:$cgroups" --volume /var/run/docker.sock:/run/docker-of-the-host.sock --volume "$work:/work:ro" \
    --volume /usr/local/share/ca-certificates:/usr/local/share/ca-certificates:ro "$image" /lib/systemd/systemd >/dev/null
until_true 60 inside systemctl is-system-running --quiet 2>/dev/null
ok 'systemd runs in a container'

http_port=$(free_port) https_port=$(free_port)
# The group of the socket has another number in the container.
inside groupadd --gid "$(stat -c %g /var/run/docker.sock)" docker
inside apt-get update -qq >/dev/null
inside apt-get install -qq --no-install-recommends /work/cflite.deb >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
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
until_true 30 test "$(status_of "$host" /)" = 200
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

until_true 30 test "$(status_of "$host" /)" = 200
restart_twice() { inside systemctl restart cflite && inside systemctl restart cflite; }
under_load 'two restarts' restart_twice
ok 'restarts refuse no connection, and no app is unknown'

upgrade() { inside apt-get install -qq --no-install-recommends -o Dpkg::Options::=--force-confold /work/newer.deb >"$work/log" 2>&1; }
pid=$(property MainPID)
under_load 'an upgrade' upgrade
[[ $(property MainPID) != "$pid" ]]
ok 'an upgrade restarts it'

pid=$(property MainPID)
inside sh -c "kill -STOP $pid"
restarted() { [[ $(property NRestarts) == 1 && $(property ActiveState) == active ]]; }
until_true 60 restarted
[[ $(status_of "$host" /) == 200 ]]
ok 'the watchdog restarts one that hangs'

inside apt-get purge -qq cflite >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
inside sh -c '! systemctl is-active --quiet cflite-http.socket && ! test -e /var/lib/cflite'
# No docker command is there: the purge says what stays.
grep -q "cflite.platform=$platform" "$work/log"
[[ -z $(inside find /etc/systemd/system -name 'cflite*' -type l) ]]
ok 'purged'
echo "$passed passed, 0 failed"
