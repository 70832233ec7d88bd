# shellcheck shell=bash
# Route services and options of routes, with the real CLI. Sourced by run.sh; static runs with three instances.
# shellcheck disable=SC2154 # cf, scheme and port come from run.sh

# Head and body of an app's answer; further arguments go to curl.
whole_answer() {
    local app=$1
    shift
    curl -ski --max-time 10 -H "Host: $app.cf.localhost" "$@" "$scheme://127.0.0.1:$port/"
}

# How many instances answered the requests of a user, by the access lines.
instances_of() {
    for _ in 1 2 3 4 5 6 7 8; do
        whole_answer static -H "X-User: $1" -A "$1" >/dev/null
    done
    "$cf" logs static --recent | grep -F "\"$1\"" | grep -oE 'app_index:"[0-9]+"' | sort -u | wc -l
}

route_service_tests() {
    check "push a route service" "#0 +running" "$cf" push gate -p tests/cf/gate -m 64M
    check "create-user-provided-service -r" "OK" "$cf" create-user-provided-service gate -r https://gate.cf.localhost
    check "bind-route-service of an app" "OK" "$cf" bind-route-service cf.localhost gate --hostname static
    check "requests go through it" "[Xx]-[Gg]ate: seen" eventually "[Xx]-[Gg]ate: seen" whole_answer static
    check "and reach the app" "cflite" whole_answer static
    check "it was told the URL" "GET $scheme://static.cf.localhost:$port/" \
        eventually "GET $scheme" "$cf" logs gate --recent
    check "websockets do not" "503 Service Unavailable: Websocket requests are not supported" \
        whole_answer static --http1.1 -H "Connection: Upgrade" -H "Upgrade: websocket"
    check "unbind-route-service of an app" "OK" "$cf" unbind-route-service -f cf.localhost gate --hostname static
    check "requests do not go through it any more" "cflite" eventually "^cflite" is_direct
    check "delete the route service" "OK" "$cf" delete-service -f gate
    check "and its app" "OK" "$cf" delete -f -r gate
}

is_direct() {
    whole_answer static | grep -qi x-gate || echo cflite
}

option_tests() {
    refused "update-route with an option of a flag" "must be one of 'round-robin, least-connection'" \
        "$cf" update-route cf.localhost --hostname static -o loadbalancing=hash -o hash_header=X-User
    check "enable hash_based_routing" "OK" "$cf" enable-feature-flag hash_based_routing
    check "requests are spread" "^3$" instances_of spread
    check "update-route -o" "OK" \
        "$cf" update-route cf.localhost --hostname static -o loadbalancing=hash -o hash_header=X-User
    check "route shows them" "hash_header" "$cf" route cf.localhost --hostname static
    check "one user, one instance" "^1$" instances_of someone
    check "update-route -r" "OK" "$cf" update-route cf.localhost --hostname static -r loadbalancing
    check "disable hash_based_routing" "OK" "$cf" disable-feature-flag hash_based_routing
}

route_service_tests
option_tests
