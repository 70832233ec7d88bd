#!/usr/bin/env bash
# Drives the real cf CLI (v8): $CF_CLI, or `cf` on PATH; says in one line that it was skipped when
# there is none. Needs the Docker daemon; CFLITE_BINARY names the binary under test.
#
#   run.sh [http|https]    the scheme that the CLI and the apps' visitors use; http without it
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

scheme=${1:-http}
[[ $scheme == http || $scheme == https ]] || { echo "usage: run.sh [http|https]" >&2; exit 2; }
cf=${CF_CLI:-$(command -v cf || true)}
if [[ -z $cf ]]; then
    echo "skipped: no cf CLI on PATH or in \$CF_CLI"
    exit 0
fi
if [[ $("$cf" version) != *" 8."* ]]; then
    echo "skipped: $("$cf" version) is not version 8"
    exit 0
fi
cflite=${CFLITE_BINARY:?names the binary under test}
data=$(mktemp -d)
export CF_HOME=$data/cf CF_COLOR=false
mkdir -p "$CF_HOME"
passed=0
failed=0
# A Docker image that only the local daemon has; without a shell.
image=cflite-test-cf-$$

build_image() {
    mkdir -p "$data/image" && cp /usr/bin/busybox "$data/image/" && echo "from an image" >"$data/image/index.html" &&
        printf '%s\n' 'FROM scratch' 'COPY busybox /busybox' 'COPY index.html /www/index.html' 'EXPOSE 8080' \
            'ENTRYPOINT ["/busybox"]' 'CMD ["httpd", "-f", "-p", "8080", "-h", "/www"]' >"$data/image/Dockerfile" &&
        DOCKER_BUILDKIT=0 docker build --quiet --label cflite.test=1 --tag "$image" "$data/image"
}

# A buildpack as an image that only the local daemon has, and another as an archive.
tool=cflite-test-cf-tool-$$

build_buildpacks() {
    mkdir -p "$data/tool" && cp -r images/tests/fixtures/cnb/buildpacks/tool "$data/tool/" &&
        printf '%s\n' 'FROM scratch' 'COPY tool /cnb/buildpacks/fixtures_tool/1.2.3' >"$data/tool/Dockerfile" &&
        DOCKER_BUILDKIT=0 docker build --quiet --label cflite.test=1 --tag "$tool" "$data/tool" &&
        tar -C images/tests/fixtures/cnb/buildpacks/server -czf "$data/server.tgz" .
}

finish() {
    "$cflite" down --data-dir "$data/cflite" >/dev/null 2>&1
    "$cflite" reset --yes --keep-images --data-dir "$data/cflite" >/dev/null 2>&1
    docker rmi "$image" "$image:away" "$tool" >/dev/null 2>&1
    rm -rf "$data"
}
trap finish EXIT

# at_once FUNCTION ARGUMENT...: calls the function with each argument, all at the same time, and counts their checks.
at_once() {
    local call=$1 each running=()
    shift
    for each in "$@"; do
        # The CLI's settings are for one CLI at a time.
        cp -r "$CF_HOME" "$data/cf-$each"
        CF_HOME=$data/cf-$each "$call" "$each" >"$data/checks-$each" 2>&1 &
        running+=($!)
    done
    wait "${running[@]}"
    for each in "$@"; do
        cat "$data/checks-$each"
        passed=$((passed + $(grep -c '^ok ' "$data/checks-$each")))
        failed=$((failed + $(grep -c '^FAIL ' "$data/checks-$each")))
    done
}

# check NAME PATTERN COMMAND...: the command succeeds and its output matches the pattern.
check() {
    local name=$1 pattern=$2 out status=0
    shift 2
    out=$("$@" 2>&1) || status=$?
    if ((status == 0)) && grep -qE -- "$pattern" <<<"$out"; then
        passed=$((passed + 1))
        echo "ok   $name"
    else
        failed=$((failed + 1))
        echo "FAIL $name (exit status $status, wanted /$pattern/)"
        while IFS= read -r line; do echo "     $line"; done <<<"$out"
    fi
}

# Like check, but the command must fail.
refused() {
    local name=$1 pattern=$2
    shift 2
    check "$name" "$pattern" bash -c '! "$@" 2>&1' -- "$@"
}

# Each scheme has a platform, and both may run at once.
tcp_port=61091 tcp_ports=61001-61100
[[ $scheme == http ]] || tcp_port=62291 tcp_ports=62201-62300
# No test asks a registry on the network.
"$cflite" up --data-dir "$data/cflite" --http-port 0 --https-port 0 --registry-port 0 --tcp-ports "$tcp_ports" \
    --registry-upstream docker.io=http://127.0.0.1:1 >/dev/null || exit 1
port=$(jq -r ".${scheme}_port" "$data/cflite/running.json")
validation=()
[[ $scheme == http ]] || validation=(--skip-ssl-validation)
password=$("$cflite" credentials --data-dir "$data/cflite" --json | jq -r .password)
# Runs a command until its output matches, for half a minute at most, or $patience seconds.
eventually() {
    local pattern=$1 out i
    shift
    for ((i = 0; i < ${patience:-30} * 2; i++)); do
        out=$("$@" 2>&1)
        grep -qE -- "$pattern" <<<"$out" && break
        sleep 0.5
    done
    echo "$out"
}
answer() {
    curl -sk --max-time 5 -H "Host: $1.cf.localhost" "$scheme://127.0.0.1:$port/"
}
# Connections are new for each command: one whose answer does not come shows here.
many_times() {
    local call
    for ((call = 0; call < 100; call++)); do
        timeout 30 "$cf" api "$scheme://localhost:$port" "${validation[@]}" >/dev/null || return
    done
    echo "$call calls answered"
}

check "api" "API version" "$cf" api "$scheme://localhost:$port" "${validation[@]}"
check "api, again and again" "100 calls answered" many_times
refused "auth with a wrong password" "Credentials were rejected" "$cf" auth admin wrong
check "auth" "OK" "$cf" auth admin "$password"
check "create-org" "OK" "$cf" create-org acme
check "create-org twice" "already exists" "$cf" create-org acme
check "create-space" "OK" "$cf" create-space dev -o acme
check "target" "space: +dev" "$cf" target -o acme -s dev
check "orgs" "^acme" "$cf" orgs
check "spaces" "^dev" "$cf" spaces
check "org" "quota: +default" "$cf" org acme
check "space" "isolation segment" "$cf" space dev
check "stacks" "cflinuxfs4" "$cf" stacks
check "buildpacks" "staticfile_buildpack" "$cf" buildpacks
check "domains" "cf.localhost" "$cf" domains

# shellcheck source=tests/cf/admin.sh
source tests/cf/admin.sh
check "an image" "sha256:" build_image
# shellcheck source=tests/cf/services.sh
source tests/cf/services.sh

# shellcheck source=tests/cf/tcp.sh
source tests/cf/tcp.sh

# shellcheck source=tests/cf/ssh.sh
source tests/cf/ssh.sh
# These take their time, so each of the two schemes has one.
if [[ $scheme == http ]]; then
    # shellcheck source=tests/cf/engines.sh
    source tests/cf/engines.sh
else
    # shellcheck source=tests/cf/samples.sh
    source tests/cf/samples.sh
fi

check "push a static folder" "#0 +running" "$cf" push static -p samples/static -m 64M
check "the static app answers" "cflite" answer static
check "push a Flask app" "#0 +running" "$cf" push flask -p samples/flask
check "the Flask app answers" "." answer flask
# shellcheck source=tests/cf/network.sh
source tests/cf/network.sh
check "push an Express app" "#0 +running" "$cf" push express -p samples/express
check "the Express app answers" "." answer express
check "push a Rack app" "#0 +running" "$cf" push rack -p samples/rack
check "the Rack app answers" "." answer rack
check "push a binary with -c" "#0 +running" "$cf" push binary -p samples/binary -b binary_buildpack -c "./serve.sh"
check "the binary answers" "." answer binary
check "apps" "static +started +web:1/1" "$cf" apps
check "logs --recent" "\[RTR/0\] +OUT|\[RTR/0\]" "$cf" logs static --recent
check "scale" "instances: +[123]/3" "$cf" scale static -i 3
# shellcheck source=tests/cf/routing.sh
source tests/cf/routing.sh
check "restart" "#2 +running" "$cf" restart static
check "restart-app-instance" "OK" "$cf" restart-app-instance static 1
check "set-env" "OK" "$cf" set-env static GREETING hello
check "env" "GREETING: +hello" "$cf" env static
check "unset-env" "OK" "$cf" unset-env static GREETING
check "stop" "OK" "$cf" stop static
check "start" "#0 +running" "$cf" start static
check "restage" "#0 +running" "$cf" restage binary
check "events" "audit.app.restart|audit.app.start" "$cf" events static
check "create-route" "has been created|OK" "$cf" create-route cf.localhost --hostname extra
check "map-route" "OK" "$cf" map-route static cf.localhost --hostname extra
check "the mapped route answers" "cflite" answer extra
check "routes" "extra +cf.localhost" "$cf" routes
check "unmap-route" "OK" "$cf" unmap-route static cf.localhost --hostname extra
check "delete-orphaned-routes" "OK" "$cf" delete-orphaned-routes -f
check "packages" "ready" "$cf" packages static
check "droplets" "staged" "$cf" droplets static
check "download-droplet" "OK" "$cf" download-droplet static --path "$data/static.tgz"
check "the droplet is an archive" "app/public/index.html" tar -tzf "$data/static.tgz"
check "create-app-manifest" "OK" "$cf" create-app-manifest static -p "$data/manifest.yml"
check "apply-manifest" "OK" "$cf" apply-manifest -f "$data/manifest.yml"
check "set-label" "OK" "$cf" set-label app static tier=gold
check "labels" "tier +gold" "$cf" labels app static
check "apps by label" "static" "$cf" apps --labels tier=gold
check "unset-label" "OK" "$cf" unset-label app static tier
check "revisions" "1" "$cf" revisions static
check "revision" "revision: +1" "$cf" revision static --version 1
check "restart --strategy rolling" "#0 +running" "$cf" restart static --strategy rolling
check "restage --strategy rolling" "#0 +running" "$cf" restage static --strategy rolling
check "push --strategy rolling" "#0 +running" "$cf" push static -p samples/static -m 64M --strategy rolling
check "push --strategy canary" "Active deployment with status PAUSED" \
    "$cf" push static -p samples/static -m 64M --strategy canary
check "the app during a canary" "strategy: +canary" "$cf" app static
check "continue-deployment" "OK|#0 +running" "$cf" continue-deployment static
check "an environment to go back from" "OK" "$cf" set-env static COLOUR green
check "restart --strategy canary" "PAUSED" "$cf" restart static --strategy canary
check "cancel-deployment" "OK" "$cf" cancel-deployment static
check "the app after it" "instances: +3/3" eventually "instances: +3/3" "$cf" app static
check "rollback" "#0 +running" "$cf" rollback static --version 1 -f
check "revisions after a rollback" "Rolled back to revision 1" "$cf" revisions static
check "the app answers after all that" "cflite" answer static
check "run-task" "task id: +1" "$cf" run-task static --name greet --command "echo hello from \$HOME" --wait
check "tasks" "1 +greet +SUCCEEDED" "$cf" tasks static
check "task" "state: +SUCCEEDED" "$cf" task static 1
check "a task's output" "APP/TASK/greet/0\\] OUT hello from /home/vcap/app" "$cf" logs static --recent
refused "a task that fails" "FAILED" "$cf" run-task static --command 'exit 3' --wait
check "a long task" "task id: +3" "$cf" run-task static --name long --command 'sleep 600'
check "terminate-task" "OK" "$cf" terminate-task static 3
check "the terminated task" "task was cancelled" \
    eventually "task was cancelled" "$cf" curl '/v3/tasks?names=long'
check "set-health-check" "OK" "$cf" set-health-check static http --endpoint /
check "get-health-check" "http" "$cf" get-health-check static
check "get-readiness-health-check" "process" "$cf" get-readiness-health-check static
check "enable-ssh" "OK" "$cf" enable-ssh static
check "ssh-enabled" "enabled" "$cf" ssh-enabled static
ssh_tests "cflite"
check "disable-ssh" "OK" "$cf" disable-ssh static
check "create-package" "OK|package" "$cf" create-package static -p samples/static
check "stage-package" "OK|droplet" "$cf" stage-package static
check "create-app" "OK" "$cf" create-app copy
check "copy-source" "OK" "$cf" copy-source static copy --no-restart
check "copy-source --strategy rolling" "#0 +running" "$cf" copy-source static copy --strategy rolling
check "delete the copy" "OK" "$cf" delete -f copy
check "push --docker-image" "#0 +running" "$cf" push docked --docker-image "$image" -m 32M
check "the app of an image answers" "from an image" answer docked
check "app of an image" "docker image: +$image" "$cf" app docked
check "the log of its staging" "of the local Docker daemon" "$cf" logs docked --recent
refused "ssh into an image without a shell" "the image of the app has no /bin/sh" "$cf" ssh docked -c true
check "ssh -L into an image without tools" "from an image" forward_by_cf docked
check "scale the app of an image" "instances: +2/2" eventually "instances: +2/2" "$cf" scale docked -i 2
check "restage the app of an image" "#0 +running" "$cf" restage docked
check "restart --strategy rolling of an image" "#0 +running" "$cf" restart docked --strategy rolling
refused "a task of an image without a shell" "FAILED" "$cf" run-task docked --command ignored --wait
check "create-app-manifest of an image" "OK" "$cf" create-app-manifest docked -p "$data/docked.yml"
check "push of its manifest" "#0 +running" "$cf" push -f "$data/docked.yml"
check "disable-feature-flag" "OK" "$cf" disable-feature-flag diego_docker
refused "push --docker-image without the flag" "Feature Disabled: diego_docker" "$cf" push docked --docker-image "$image"
check "enable-feature-flag" "OK" "$cf" enable-feature-flag diego_docker
check "delete the app of an image" "OK" "$cf" delete -f -r docked
refused "push --lifecycle cnb without the flag" "Feature Disabled: diego_cnb" "$cf" push native --lifecycle cnb -p "$data"
check "enable diego_cnb" "OK" "$cf" enable-feature-flag diego_cnb
check "two Cloud Native Buildpacks" "sha256:" build_buildpacks
check "create-buildpack --lifecycle cnb" "OK" "$cf" create-buildpack server "$data/server.tgz" 1 --lifecycle cnb
check "push --lifecycle cnb" "#0 +running" "$cf" push native --lifecycle cnb -p images/tests/fixtures/cnb/app \
    -b "docker://$tool" -b server -m 64M
check "the app of Cloud Native Buildpacks answers" "the page.tool says hello" answer native
check "app of Cloud Native Buildpacks" "fixtures/server +0.1.0" "$cf" app native
check "restage with the cached layers" "tool built 2 times" "$cf" restage native
check "a task with the layers" "OK" "$cf" run-task native --command "tool from a task" --wait
check "its output" "tool says from a task" eventually "tool says from a task" "$cf" logs native --recent
check "credentials for buildpacks" "requested state: +stopped" env CF_CNB_REGISTRY_CREDS='{"ghcr.io":{"username":"me","password":"geheim"}}' \
    "$cf" push credited --lifecycle cnb -p images/tests/fixtures/cnb/app -b docker://ghcr.io/me/tool --no-start
check "are kept and not shown" '"credentials": ?"\*\*\*"' "$cf" curl "/v3/apps?names=credited"
check "delete the app with credentials" "OK" "$cf" delete -f -r credited
refused "push with a missing buildpack" "docker pull docker.io/none/here" "$cf" push native --lifecycle cnb \
    -p images/tests/fixtures/cnb/app -b docker://docker.io/none/here
check "delete the app of Cloud Native Buildpacks" "OK" "$cf" delete -f -r native
check "delete-buildpack --lifecycle cnb" "OK" "$cf" delete-buildpack -f server --lifecycle cnb
check "rename" "OK" "$cf" rename static renamed
refused "push of nothing known" "NoAppDetectedError|not successfully detected" "$cf" push nothing -p tests/cf
check "crash events" "." "$cf" events nothing
check "curl" "\"resources\"" "$cf" curl /v3/apps
check "delete" "OK" "$cf" delete -f -r renamed
check "delete-space" "OK" "$cf" delete-space -f dev
check "delete-org" "OK" "$cf" delete-org -f acme

check "logout" "OK" "$cf" logout

echo "$passed passed, $failed failed"
((failed == 0))
