# shellcheck shell=bash
# SSH into instances with the real CLI, and with OpenSSH's ssh, scp and sftp where they are. Sourced by run.sh; acme/dev
# is targeted, and the app static runs there.
# shellcheck disable=SC2016,SC2154 # what is in single quotes is for shells in containers; cf and data come from run.sh

ssh_options() {
    printf '%s\n' -o StrictHostKeyChecking=yes -o "UserKnownHostsFile=$data/known_hosts" -o PreferredAuthentications=password \
        -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 -o ConnectTimeout=10 -o LogLevel=ERROR
}

# with_code [--code CODE] COMMAND...: runs an OpenSSH client that answers the question for the password with a one-time code.
with_code() {
    local code
    if [[ $1 == --code ]]; then
        code=$2
        shift 2
    else
        code=$("$cf" ssh-code) || return
    fi
    SSH_CODE=$code SSH_ASKPASS=$data/askpass SSH_ASKPASS_REQUIRE=force DISPLAY=:0 setsid -w timeout 60 "$@"
}

ssh_of_cf() {
    check "ssh -c" "^vcap$" "$cf" ssh static -c 'id -un'
    check "ssh -c with the app's environment" "^8080 0 static .*bash$" \
        "$cf" ssh static -c 'echo "$PORT $INSTANCE_INDEX $(jq -r .application_name <<<"$VCAP_APPLICATION") $SHELL"'
    check "ssh -c in the home of the app" "^/home/vcap$" "$cf" ssh static -c pwd
    check "ssh -c tells the exit status" "^7$" bash -c '"$1" ssh static -c "exit 7"; echo $?' -- "$cf"
    check "ssh with input" "^HELLO$" bash -c 'echo hello | "$1" ssh static -c "tr a-z A-Z"' -- "$cf"
    check "ssh -T takes commands from its input" "^40 2$" bash -c 'echo "echo \$((4 * 10)) 2" | "$1" ssh static -T' -- "$cf"
    check "ssh keeps standard error apart" "^only$" bash -c '"$1" ssh static -c "echo no >&2; echo only" 2>/dev/null' -- "$cf"
    check "ssh --force-pseudo-tty has a terminal" "^/dev/pts/" "$cf" ssh static --force-pseudo-tty -c tty
    check "ssh through the app's shell" "^/home/vcap/app$" "$cf" ssh static -c '/tmp/lifecycle/shell app bash -c "echo \$HOME"'
    check "ssh --process and -i" "^0$" "$cf" ssh static --process web -i 0 -c 'echo $INSTANCE_INDEX'
    refused "ssh to an instance that is not there" "Instance 9 of process web not found" "$cf" ssh static -i 9 -c true
    check "ssh moves much in both directions" "^25000000$" \
        bash -c 'head -c 25000000 /dev/zero | "$1" ssh static -c cat | wc -c' -- "$cf"
    check "what a session leaves running ends" "^0$" nothing_stays
    check "the app's log tells of it" "\[SSH/0\].*Successful remote access by 127.0.0.1:" \
        eventually "Remote access ended" "$cf" logs static --recent
    check "events tell of it" "audit.app.ssh-authorized +admin +index: 0|audit.app.ssh-authorized" "$cf" events static
}

# How many processes of the instance sleep.
sleepers() {
    "$cf" ssh static -c 'n=0; for p in /proc/[0-9]*; do read -rd "" word <$p/cmdline; [[ $word == sleep ]] && n=$((n + 1)); done 2>/dev/null; echo $n'
}

# A command whose client is killed is hung up.
nothing_stays() {
    local client i left=0
    "$cf" ssh static -c 'exec sleep 4711' >/dev/null 2>&1 &
    client=$!
    for ((i = 0; i < 50; i++)); do
        [[ $(sleepers) == 1 ]] && break
        sleep 0.2
    done
    kill "$client"
    for ((i = 0; i < 50; i++)); do
        left=$(sleepers)
        [[ $left == 0 ]] && break
        sleep 0.2
    done
    echo "$left"
}

# A port of this machine that leads to the port of an app, by the CLI. usage: forward_by_cf APP
forward_by_cf() {
    local port client i status=1
    port=$(free_port)
    "$cf" ssh "$1" -N -L "127.0.0.1:$port:localhost:8080" >"$data/forward" 2>&1 &
    client=$!
    for ((i = 0; i < 50; i++)); do
        curl -s --max-time 5 "http://127.0.0.1:$port/" && status=0 && break
        sleep 0.2
    done
    kill "$client"
    cat "$data/forward"
    return "$status"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

switches() {
    "$cf" disable-ssh static >/dev/null
    refused "ssh where the app forbids it" "not authorized|FAILED" "$cf" ssh static -c true
    "$cf" enable-ssh static >/dev/null
    "$cf" disallow-space-ssh dev >/dev/null
    refused "ssh where the space forbids it" "not authorized|FAILED" "$cf" ssh static -c true
    "$cf" allow-space-ssh dev >/dev/null
    check "the app's log tells why" "\[SSH/0\].*Refused remote access by .*: ssh is disabled for app" "$cf" logs static --recent
    check "events tell of refusals" "audit.app.ssh-unauthorized" "$cf" events static
    check "ssh again" "^in$" "$cf" ssh static -c 'echo in'
}

# The bits, the number and the kind of the host keys whose fingerprint the API tells.
one_key() {
    local told
    told=$("$cf" curl / | jq -r .links.app_ssh.meta.host_key_fingerprint)
    ssh-keygen -lf "$data/known_hosts" | awk -v "told=SHA256:$told" '$2 == told { print $1, NR, substr($NF, 2, length($NF) - 2) }'
}

openssh() {
    local at process options code
    if ! command -v ssh >/dev/null || ! command -v scp >/dev/null || ! command -v sftp >/dev/null; then
        echo "skipped: no OpenSSH client on PATH"
        return
    fi
    printf '#!/bin/sh\necho "$SSH_CODE"\n' >"$data/askpass" && chmod +x "$data/askpass"
    # Commands that have to fail run in another shell.
    export -f with_code
    export cf data
    at=$(jq -r .ssh_port "$data/cflite/running.json")
    process=$("$cf" curl "/v3/apps/$("$cf" app static --guid)/processes/web" | jq -r .guid)
    ssh-keyscan -p "$at" 127.0.0.1 2>/dev/null >"$data/known_hosts"
    check "one host key, whose fingerprint the API tells" "^256 1 ED25519$" one_key
    mapfile -t options < <(ssh_options)
    local user="cf:$process/0" to=(-o "User=cf:$process/0" -P "$at")
    check "ssh runs a command" "^vcap$" with_code ssh "${options[@]}" -p "$at" -l "$user" 127.0.0.1 'id -un'
    check "ssh has a terminal of the right size" "^33 101" with_code ssh "${options[@]}" -p "$at" -l "$user" -tt 127.0.0.1 \
        'stty rows 33 cols 101; stty size'
    code=$("$cf" ssh-code)
    check "a code counts" "^in$" with_code --code "$code" ssh "${options[@]}" -p "$at" -l "$user" 127.0.0.1 'echo in'
    refused "a code counts once" "Permission denied" with_code --code "$code" ssh "${options[@]}" -p "$at" -l "$user" 127.0.0.1 true
    refused "a wrong code" "Permission denied" with_code --code nonsense ssh "${options[@]}" -p "$at" -l "$user" 127.0.0.1 true
    refused "a wrong process" "Permission denied" \
        with_code ssh "${options[@]}" -p "$at" -l "cf:00000000-0000-0000-0000-000000000000/0" 127.0.0.1 true
    files "${to[@]}"
}

# files OPTION...: files go in and come out.
files() {
    mkdir -p "$data/files/out" && head -c 3000000 /dev/urandom >"$data/files/a file"
    check "scp puts a file" "^$" with_code scp "${options[@]}" "$@" "$data/files/a file" '127.0.0.1:/home/vcap/tmp/put here'
    check "scp gets it" "^$" with_code scp "${options[@]}" "$@" '127.0.0.1:/home/vcap/tmp/put here' "$data/files/out/got"
    check "what came back is what went" "^same$" bash -c 'cmp "$1" "$2" && echo same' -- "$data/files/a file" "$data/files/out/got"
    check "scp -O does the same" "^$" with_code scp -O "${options[@]}" "$@" "$data/files/a file" 127.0.0.1:/home/vcap/tmp/old
    printf '%s\n' 'mkdir /home/vcap/tmp/folder' 'cd /home/vcap/tmp/folder' 'put "'"$data/files/a file"'" one' 'rename one two' 'ls -l' \
        'get two "'"$data/files/out/two"'"' 'rm two' 'cd ..' 'rmdir folder' 'bye' >"$data/batch"
    check "sftp" "vcap .*3000000 .*two" with_code sftp "${options[@]}" -o BatchMode=no "$@" -b "$data/batch" 127.0.0.1
    check "sftp got it" "^same$" bash -c 'cmp "$1" "$2" && echo same' -- "$data/files/a file" "$data/files/out/two"
    refused "scp of what is not there" "No such file" with_code scp "${options[@]}" "$@" 127.0.0.1:/nothing "$data/files/out/"
}

ssh_tests() {
    ssh_of_cf
    check "ssh -N -L" "$1" forward_by_cf static
    openssh
    switches
}
