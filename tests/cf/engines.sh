# shellcheck shell=bash
# Each data service with the real CLI and a client of its own, all at the same time. Sourced by run.sh; acme/dev is
# targeted. The clients are those of the services' images, or client.py.
# shellcheck disable=SC2154 # cf, cflite and data come from run.sh

# said OFFERING ACTION CREDENTIALS: the action (write, read, remove) of a client on this machine.
said() {
    local what
    case $1 in
        postgresql)
            case $2 in
                write) what="CREATE TABLE IF NOT EXISTS t (v text); INSERT INTO t VALUES ('one')" ;;
                read) what="SELECT v FROM t" ;;
                remove) what="DELETE FROM t" ;;
            esac
            in_image "$1" psql -X -q -At -v ON_ERROR_STOP=1 "$(jq -r .uri <<<"$3")" -c "$what"
            ;;
        mariadb)
            case $2 in
                write) what="CREATE TABLE IF NOT EXISTS t (v varchar(9)); INSERT INTO t VALUES ('one')" ;;
                read) what="SELECT v FROM t" ;;
                remove) what="DELETE FROM t" ;;
            esac
            # shellcheck disable=SC2046 # none has a blank
            in_image "$1" mariadb $(jq -r '"-h \(.host) -P \(.port) -u \(.username) -p\(.password) \(.name)"' <<<"$3") -N -e "$what"
            ;;
        redis)
            case $2 in
                write) what="SET v one" ;;
                read) what="GET v" ;;
                remove) what="DEL v" ;;
            esac
            # shellcheck disable=SC2086 # words of a command
            in_image "$1" redis-cli -e --no-auth-warning -u "$(jq -r .uri <<<"$3")" $what
            ;;
        objectstore)
            case $2 in
                write) what="-X PUT --data-binary one" ;;
                read) what="" ;;
                remove) what="-X DELETE" ;;
            esac
            # shellcheck disable=SC2046,SC2086 # words of a command
            in_image "$1" curl -sS --fail-with-body -H x-amz-content-sha256:UNSIGNED-PAYLOAD $what \
                $(jq -r '"--aws-sigv4 aws:amz:\(.region):s3 -u \(.access_key_id):\(.secret_access_key) \(.endpoint)/\(.bucket)/folder/v"' <<<"$3")
            ;;
        *) python3 tests/cf/client.py "$1" "$2" <<<"$3" ;;
    esac
}

# A program of the image of an offering.
in_image() {
    local image
    image=$(docker images --filter "label=cflite.service_image=$1" --format '{{.Repository}}:{{.Tag}}' | head -n 1)
    shift
    docker run --rm --network host --label cflite.test=1 --entrypoint "$1" "$image" "${@:2}"
}

# The credentials of a key.
key_of() {
    "$cf" service-key "$1" "$2" | sed '1,/^$/d' | jq -c .credentials
}

# Kills all processes in a container, at times with the shell that does it.
kill_all() {
    docker exec "$1" sh -c 'kill -KILL -1'
    (($? == 0 || $? == 137))
}

container_of() {
    echo "cflite-$(<"$data/cflite/platform-id")-service-$("$cf" service "$1" --guid)"
}

# engine OFFERING: its whole life.
engine() {
    local offering=$1 name=engine-$1 one two backup container id
    if [[ $offering == memcached ]]; then
        cache "$offering" "$name"
        return
    fi
    check "create-service $offering" "OK" "$cf" create-service "$offering" small "$name" --wait
    check "$offering: a key" "OK" "$cf" create-service-key "$name" one --wait
    check "$offering: another key" "OK" "$cf" create-service-key "$name" two --wait
    one=$(key_of "$name" one)
    two=$(key_of "$name" two)
    container=$(container_of "$name")
    check "$offering: a client writes" "" said "$offering" write "$one"
    # What was confirmed a moment ago survives the end of the server. One that ends as the fifth within minutes would not be
    # started for some time, and tests/docker kills Redis and MariaDB.
    if [[ $offering != redis && $offering != mariadb ]]; then
        check "$offering: its server is killed" "" kill_all "$container"
    fi
    check "$offering: what was written is there" "^one$" eventually "^one$" said "$offering" read "$two"
    check "$offering: delete-service-key" "OK" "$cf" delete-service-key -f "$name" one --wait
    refused "$offering: the user is gone" "." said "$offering" read "$one"
    check "$offering: its data are not" "^one$" said "$offering" read "$two"
    id=$(docker inspect --format '{{.Id}}' "$container")
    check "$offering: a backup and more memory" "OK" "$cf" update-service "$name" -c '{"backup":"now","memory":"320m"}' --wait
    case $offering in
        mariadb | redis | rabbitmq) check "$offering: while it runs" "^$id$" docker inspect --format '{{.Id}}' "$container" ;;
    esac
    check "$offering: it has that" "^335544320$" docker inspect --format '{{.HostConfig.Memory}}' "$container"
    check "$offering: what was written is there still" "^one$" said "$offering" read "$two"
    check "$offering: a client removes" "" said "$offering" remove "$two"
    backup=$("$cflite" services backups "$name" --json --data-dir "$data/cflite" | jq -r '.backups[0].guid')
    check "$offering: a restore" "OK" "$cf" update-service "$name" -c "{\"restore\":\"$backup\"}" --wait
    check "$offering: brings it back" "^$(restored "$offering")$" said "$offering" read "$two"
    rotated "$offering" "$name" "$two"
    gone "$offering" "$name" two "$container"
}

# rotated OFFERING SERVICE CREDENTIALS: its administrator gets another password, where it has one.
rotated() {
    case $1 in
        postgresql | mariadb)
            refused "$1: no administrator with a password" "its administrator has no password" \
                "$cf" update-service "$2" -c '{"rotate_admin":true}' --wait
            return
            ;;
    esac
    check "$1: another password of its administrator" "OK" "$cf" update-service "$2" -c '{"rotate_admin":true}' --wait
    check "$1: users keep theirs" "^$(restored "$1")$" said "$1" read "$3"
    check "$1: a key afterwards" "OK" "$cf" create-service-key "$2" three --wait
    check "$1: which is let in" "^$(restored "$1")$" said "$1" read "$(key_of "$2" three)"
    check "$1: and removed" "OK" "$cf" delete-service-key -f "$2" three --wait
    if [[ $1 == rabbitmq ]]; then
        check "$1: its page answers" "RabbitMQ Management" curl -fsS "$("$cf" service "$2" | sed -n 's/^ *dashboard url: *//p')"
    fi
}

# Backups of RabbitMQ have its queues without their messages.
restored() {
    if [[ $1 == rabbitmq ]]; then echo empty; else echo one; fi
}

# cache OFFERING SERVICE: the life of one without users and without a disk.
cache() {
    local key container id
    check "create-service $1" "OK" "$cf" create-service "$1" small "$2" --wait
    check "$1: a key" "OK" "$cf" create-service-key "$2" one --wait
    key=$(key_of "$2" one)
    container=$(container_of "$2")
    check "$1: a client writes" "" said "$1" write "$key"
    check "$1: it is there" "^one$" said "$1" read "$key"
    check "$1: its server is killed" "" kill_all "$container"
    check "$1: a client writes again" "^$" eventually "^$" said "$1" write "$key"
    check "$1: it is there again" "^one$" said "$1" read "$key"
    id=$(docker inspect --format '{{.Id}}' "$container")
    check "$1: more memory" "OK" "$cf" update-service "$2" -c '{"memory":"320m"}' --wait
    check "$1: while it runs" "^$id$" docker inspect --format '{{.Id}}' "$container"
    check "$1: it has that" "^335544320$" docker inspect --format '{{.HostConfig.Memory}}' "$container"
    refused "$1: has no backups" "parameter backup is not known" "$cf" update-service "$2" -c '{"backup":"now"}' --wait
    gone "$1" "$2" one "$container"
}

# gone OFFERING SERVICE KEY CONTAINER: nothing is left of it.
gone() {
    check "$1: delete-service-key at last" "OK" "$cf" delete-service-key -f "$2" "$3" --wait
    check "$1: delete-service" "OK" "$cf" delete-service -f "$2" --wait
    check "$1: leaves no container" "^$" docker ps --all --quiet --filter "name=$4"
    check "$1: leaves no volume" "^$" docker volume ls --quiet --filter "name=$4"
}

if command -v python3 >/dev/null; then
    patience=90 at_once engine postgresql mariadb redis rabbitmq nats memcached objectstore
else
    echo "skipped: the data services need python3"
fi
