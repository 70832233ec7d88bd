# shellcheck shell=bash
# Names and network policies between apps, with the real CLI. Sourced by run.sh; static and flask run.
# shellcheck disable=SC2154 # cf comes from run.sh

# What an instance of static gets from an instance of flask, by its name.
ask_flask() {
    "$cf" ssh static -c "curl -sS --max-time 5 http://$1flask.apps.internal:8080/ 2>&1 | head -c 300; echo; getent hosts $1flask.apps.internal"
}

network_tests() {
    check "map-route to an internal domain" "OK" "$cf" map-route flask apps.internal --hostname flask
    check "an app finds another one by its name" "[0-9.]+ +flask.apps.internal" eventually "[0-9] +flask.apps.internal" ask_flask ''
    check "and its instance" "[0-9.]+ +0.flask.apps.internal" ask_flask 0.
    check "but does not reach it" "refused|Failed to connect|Couldn't connect" ask_flask ''
    check "network-policies without one" "" "$cf" network-policies
    check "add-network-policy" "OK" "$cf" add-network-policy static flask --protocol tcp --port 8080
    check "network-policies" "static +flask +tcp +8080 +dev +acme" "$cf" network-policies --source static
    check "the policy lets it through" "<html|Hello|hello|flask" eventually "<html|Hello|hello" ask_flask ''
    check "remove-network-policy" "OK" "$cf" remove-network-policy static flask --protocol tcp --port 8080
    check "it is refused again" "refused|Failed to connect|Couldn't connect" eventually "refused|Failed|Couldn't" ask_flask ''
    check "remove-network-policy of none" "does not exist" \
        "$cf" remove-network-policy static flask --protocol tcp --port 8080
    check "unmap-route of an internal domain" "OK" "$cf" unmap-route flask apps.internal --hostname flask
}

network_tests
