# shellcheck shell=bash
# Stages and starts fixtures with plain docker commands, the way the platform does it through the Engine API.
# Uses run.sh's variables: images fixtures IMAGES_RUN IMAGES_BUILD STAGE_SECONDS.
# shellcheck disable=SC2154,SC2034  # what it sets is read by the suites
# Every container carries the label cflite.test=images, and one of this run by which it is removed at the end, whatever happens.

LABELS=(--label cflite.test=images --label "cflite.test.run=$$")
passed=0 failed=0 skipped=0 work=$(mktemp -d)
: > "$work/features"

# Containers trust the authorities that were added to this machine, as those of cflite do. Downloads need that behind a proxy that re-signs TLS.
trust_the_machine() {
  local own=/usr/local/share/ca-certificates
  compgen -G "$own/*.crt" > /dev/null || return 0
  docker volume create "${LABELS[@]:0:4}" "cflite-test-trust-$$" > /dev/null &&
    docker run --rm "${LABELS[@]}" --network none --user 0:0 --volume "$own:$own:ro" --volume "cflite-test-trust-$$:/mnt" \
      --entrypoint bash "$IMAGES_RUN" -c 'update-ca-certificates > /dev/null && cp -rL /etc/ssl/certs/. /mnt/' || return 1
  LABELS+=(--volume "cflite-test-trust-$$:/etc/ssl/certs:ro" --env NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt)
}

clean_up() {
  local ids
  ids=$(docker ps -aq --filter "label=cflite.test.run=$$")
  # shellcheck disable=SC2086  # one word for each container
  [[ -z $ids ]] || docker rm -f $ids > /dev/null
  ids=$(docker network ls -q --filter "label=cflite.test.run=$$")
  # shellcheck disable=SC2086  # one word for each network
  [[ -z $ids ]] || docker network rm $ids > /dev/null
  ids=$(docker volume ls -q --filter "label=cflite.test.run=$$")
  # shellcheck disable=SC2086  # one word for each volume
  [[ -z $ids ]] || docker volume rm $ids > /dev/null
  rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# usage: check DESCRIPTION COMMAND…
check() {
  local description=$1
  shift
  if "$@" > "$work/check.log" 2>&1; then
    passed=$((passed + 1))
    echo "ok    $description"
  else
    failed=$((failed + 1))
    echo "FAIL  $description"
    sed 's/^/      | /' "$work/check.log" "$work/log" 2> /dev/null | tail -n 30
  fi
}

# Names what the checks that follow prove of a buildpack: a row of the table in docs/buildpacks.md.
# Call it also before checks that are skipped without a network: the table must not depend on the machine.
# usage: feature BUILDPACK TEXT
feature() {
  printf '| %s | %s | `%s` |\n' "$1" "$2" "${file##*/}" >> "$work/features"
}

equals() { [[ $1 == "$2" ]] || { printf 'expected: %s\ngot:      %s\n' "$2" "$1"; return 1; }; }
contains() { [[ $1 == *"$2"* ]] || { printf 'expected to contain: %s\ngot: %s\n' "$2" "$1"; return 1; }; }
lacks() { [[ $1 != *"$2"* ]] || { printf 'expected not to contain: %s\ngot: %s\n' "$2" "$1"; return 1; }; }

# Stages a fixture. Sets code (builder's exit code), log, result (its result.json); the droplet is kept in $work/droplet.tar.
# The fixture's folder is zipped inside the container; a `prepare` script in it runs there first and does not become a part of the app.
# Options before the fixture: --network NAME (none by default), --env NAME=VALUE, --zip FILE (instead of a fixture), --cache FILE,
# --builder NAME (of another script than builder), --buildpacks FOLDER (of other buildpacks than the built-in ones and the fixtures; - for no
# folder at all, as the platform has it when all of them are downloaded).
# usage: stage [OPTION…] FIXTURE BUILDER_ARGUMENT…
stage() {
  local network=none environment=() zip='' cache='' builder=builder buildpacks='' container upload=$work/upload
  while [[ $1 == --* ]]; do
    case $1 in
      --network) network=$2 ;;
      --env) environment+=(--env "$2") ;;
      --zip) zip=$2 ;;
      --cache) cache=$2 ;;
      --builder) builder=$2 ;;
      --buildpacks) buildpacks=$2 ;;
      *) echo "stage: unknown option $1" >&2; exit 2 ;;
    esac
    shift 2
  done
  local fixture=$1
  shift
  rm -rf "$upload" "$work"/{droplet,output-cache}.tar
  mkdir -p "$upload/fixture"
  cp -r "$images/lifecycle" "$upload/"
  [[ $buildpacks == - ]] || cp -r "${buildpacks:-$images/buildpacks}" "$upload/buildpacks"
  [[ -n $buildpacks ]] || cp -r "$fixtures/buildpacks/." "$upload/buildpacks/"
  [[ $fixture == - ]] || cp -r "$fixture/." "$upload/fixture/"
  [[ -z $zip ]] || cp "$zip" "$upload/app.zip"
  [[ -z $cache ]] || cp "$cache" "$upload/cache.tar"
  container=$(docker create "${LABELS[@]}" --network "$network" --user 2000:2000 --workdir /home/vcap --init --memory 2g \
    --env HOME=/home/vcap --env USER=vcap --env PATH=/usr/local/bin:/usr/bin:/bin --env LANG=en_US.UTF-8 --env CF_STACK=cflinuxfs4 \
    "${environment[@]}" --entrypoint /bin/bash "$IMAGES_BUILD" -c '
      set -e
      if [[ ! -e /tmp/app.zip ]]; then
        cd /tmp/fixture
        if [[ -f prepare ]]; then bash ./prepare; rm -rf prepare; fi
        zip -qry /tmp/app.zip .
      fi
      rm -rf /tmp/fixture
      cd /home/vcap
      # One pipe for both: between two, the order of lines is by chance.
      exec /tmp/lifecycle/"$0" "$@" 2>&1' "$builder" "$@")
  tar -C "$upload" --owner=2000 --group=2000 -cf - . | docker cp - "$container:/tmp"
  code=$(timeout "$STAGE_SECONDS" docker start -a "$container" > "$work/log" 2>&1; echo $?)
  log=$(<"$work/log")
  result=$(docker cp "$container:/tmp/result.json" - 2> /dev/null | tar -xO 2> /dev/null)
  if [[ $code == 0 ]]; then
    docker cp "$container:/tmp/droplet.tar" - | tar -xO > "$work/droplet.tar"
    docker cp "$container:/tmp/output-cache.tar" - | tar -xO > "$work/output-cache.tar"
  fi
  docker rm -f "$container" > /dev/null
}

# Prints a cache that ends too early, with folders that nobody may write.
cut_cache() { tar -C "$fixtures" --sort=name --mode=a=rx -cf - cnb | head -c 4000; }

# Fills a folder for checks that programs get variables of any name. `names` has every word of the lifecycle's scripts that could be a variable of
# theirs; the script `report` says which of them are not `kept` in its environment. Sets kept, options that set all of them for a container.
# usage: make_report FOLDER
make_report() {
  local name
  mkdir -p "$1"
  # Those with another meaning for tools are left out.
  find "$images/lifecycle" -maxdepth 1 -type f -exec cat {} + | grep -oE '\b[a-z][a-z0-9_]*\b' |
    grep -v -e proxy -e '^npm_' | LC_ALL=C sort -u > "$1/names"
  kept=()
  while read -r name; do kept+=(--env "$name=kept"); done < "$1/names"
  cat > "$1/report" << 'REPORT'
#!/bin/bash
# usage: report FOLDER [LABEL]
while read -r NAME; do [[ $(declare -p "$NAME" 2> /dev/null) == "declare -x $NAME=\"kept\"" ]] || LOST+=" $NAME"; done < "$1/names"
# The output of some scripts of buildpacks has a meaning.
[[ ${0##*/} == report ]] || { set -- "$1" "${0##*/}"; exec 3>&1 >&2; }
echo "${2:-command} lost:${LOST:- nothing}"
[[ $2 != release ]] || echo 'default_process_types: {web: ./report .}' >&3
REPORT
  chmod +x "$1/report"
}

# usage: result_of JQ_FILTER
result_of() { docker run --rm -i "${LABELS[@]}" --network none --entrypoint jq "$IMAGES_BUILD" -rc "$1" <<< "$result"; }

# Starts the staged droplet on the run image. Sets instance, the container.
# usage: launch COMMAND [ENV…]; an empty command is the droplet's own
launch() { launch_with launcher app "$@"; }

# The same with another launcher. usage: launch_with LAUNCHER FIRST_ARGUMENT COMMAND [ENV…]
launch_with() {
  local launcher=$1 first=$2 command=$3 variable environment=()
  shift 3
  for variable in "$@"; do
    environment+=(--env "$variable")
  done
  instance=$(docker create "${LABELS[@]}" --network none --user 2000:2000 --workdir /home/vcap --init --memory 512m \
    --env HOME=/home/vcap --env USER=vcap --env PATH=/usr/local/bin:/usr/bin:/bin --env LANG=en_US.UTF-8 --env PORT=8080 \
    --env CF_INSTANCE_GUID=instance-1 --env CF_INSTANCE_INDEX=0 --env 'VCAP_APPLICATION={"name":"fixture"}' --env MEMORY_LIMIT=512m \
    "${environment[@]}" --entrypoint "/tmp/lifecycle/$launcher" "$IMAGES_RUN" "$first" "$command" '')
  docker cp - "$instance:/" < "$work/droplet.tar"
  tar -C "$images" --owner=2000 --group=2000 -cf - lifecycle | docker cp - "$instance:/tmp"
  docker start "$instance" > /dev/null
}

# Asks the instance for a path, waiting for it to listen. usage: answer PATH [CURL_OPTION…]
answer() {
  local path=$1 status
  shift
  # As long as the platform waits for an instance.
  for _ in $(seq 240); do
    docker exec "$instance" curl -s --max-time 30 "$@" "localhost:8080$path" 2> "$work/log"
    status=$?
    [[ $status == 7 ]] || break
    sleep 0.25
  done
  ((status == 0)) || docker logs "$instance" > "$work/log" 2>&1
  return "$status"
}

# Stops the instance as the platform does; sets code and log. usage: stop
stop() {
  docker stop --time 10 "$instance" > /dev/null
  code=$(docker inspect --format '{{.State.ExitCode}}' "$instance")
  log=$(docker logs "$instance" 2>&1)
  docker rm -f "$instance" > /dev/null
}

# Waits for an instance that ends by itself; sets code and log. usage: finish
finish() {
  code=$(timeout 30 docker wait "$instance")
  log=$(docker logs "$instance" 2>&1)
  docker rm -f "$instance" > /dev/null
}
