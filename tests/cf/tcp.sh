# shellcheck shell=bash
# TCP routes with the real CLI and raw clients. Sourced by run.sh; acme/dev is targeted.
# shellcheck disable=SC2154 # cf, data and tcp_port come from run.sh

# An app of two ports: each says its name to every client, then sends back what it gets.
tcp_app() {
    mkdir -p "$data/tcp" &&
        cat >"$data/tcp/serve.sh" <<'SCRIPT' &&
#!/usr/bin/env bash
socat TCP-LISTEN:9090,fork,reuseaddr SYSTEM:'echo second; cat' &
exec socat TCP-LISTEN:"$PORT",fork,reuseaddr SYSTEM:'echo first; cat'
SCRIPT
        chmod +x "$data/tcp/serve.sh" &&
        printf '%s\n' 'applications:' '- name: echo' '  memory: 64M' '  buildpacks: [binary_buildpack]' \
            '  command: ./serve.sh' '  routes:' "  - route: tcp.cf.localhost:$1" >"$data/tcp/manifest.yml"
}

# talk PORT TEXT: what comes back after the text and the end of the client's half.
talk() {
    python3 - "$1" "$2" <<'CLIENT'
import socket, sys
client = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
client.sendall(sys.argv[2].encode())
client.shutdown(socket.SHUT_WR)
while part := client.recv(4096):
    sys.stdout.write(part.decode())
CLIENT
}

# The port of the route that the CLI made.
port_of() {
    grep -oE "tcp.cf.localhost:[0-9]+" | head -1 | cut -d: -f2
}

tcp_tests() {
    local port=$tcp_port random
    check "router-groups" "default-tcp +tcp" "$cf" router-groups
    check "create-shared-domain --router-group" "OK" \
        "$cf" create-shared-domain tcp.example.com --router-group default-tcp
    refused "create-shared-domain of an unknown group" "not found" \
        "$cf" create-shared-domain tcp.example.org --router-group none
    check "domains of TCP" "tcp.example.com +shared +tcp" "$cf" domains
    check "an app of two ports" "" tcp_app "$port"
    check "push with a TCP route" "#0 +running" "$cf" push -f "$data/tcp/manifest.yml" -p "$data/tcp"
    check "a client talks through the route" "^hello$" talk "$port" hello
    check "the app greets it" "^first$" talk "$port" hello
    check "routes with a port" "tcp.cf.localhost +$port +tcp" "$cf" routes
    refused "create-route of a port that is taken" "Port '$port' is not available|already exists" \
        "$cf" create-route tcp.example.com --port "$port"
    random=$("$cf" create-route tcp.cf.localhost 2>&1 | port_of)
    check "create-route of a random port" "^6[12][0-9]{3}$" echo "$random"
    check "map-route --port" "OK" "$cf" map-route echo tcp.cf.localhost --port "$random" --app-port 9090
    check "restart for the second port of the app" "#0 +running" "$cf" restart echo
    check "each route leads to its port of the app" "^second$" eventually "second" talk "$random" x
    check "and the first one stays" "^first$" eventually "first" talk "$port" x
    check "unmap-route --port" "OK" "$cf" unmap-route echo tcp.cf.localhost --port "$random"
    check "its port closes" "refused" eventually "refused" talk "$random" x
    check "check-route --port" "exist" "$cf" check-route tcp.cf.localhost --port "$random"
    check "delete-route --port" "OK" "$cf" delete-route -f tcp.cf.localhost --port "$random"
    check "stop of the TCP app" "OK" "$cf" stop echo
    check "its port is closed" "refused" eventually "refused" talk "$port" x
    check "delete the TCP app" "OK" "$cf" delete -f -r echo
    check "delete-shared-domain of TCP" "OK" "$cf" delete-shared-domain -f tcp.example.com
}

tcp_tests
