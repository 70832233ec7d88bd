# shellcheck shell=bash
# The samples that keep notes in a database, at the same time. Sourced by run.sh; acme/dev is targeted.
# shellcheck disable=SC2154 # cf, data, scheme and port come from run.sh

# usage: visit APP PATH [CURL_OPTION...]
visit() {
    curl -sk --max-time 20 --resolve "$1.cf.localhost:$port:127.0.0.1" "${@:3}" "$scheme://$1.cf.localhost:$port$2"
}

# As its README says.
push_from() {
    (cd "$1" && "$cf" push)
}

# notes SAMPLE: named after the app and the offering, as spring-mariadb.
notes() {
    local sample=$1 offering=${1#*-} folder=samples/$1
    check "create-service for $sample" "OK" "$cf" create-service "$offering" small "notes-$offering" --wait
    if [[ -e $folder/pom.xml ]]; then
        # A platform runs built apps.
        folder=$data/$sample
        cp -r "samples/$sample" "$folder"
        check "$sample is built" "" mvn -B -q -f "$folder/pom.xml" package
    fi
    check "push $sample" "#0 +running" push_from "$folder"
    check "$sample takes a note" "303" visit "$sample" /notes --data-urlencode 'text=<Grüße>' -o /dev/null -w '%{http_code}'
    check "restart $sample" "#0 +running" "$cf" restart "$sample"
    check "$sample has kept it" "(&lt;|&#60;)Gr(ü|&uuml;)(ß|&szlig;)e(&gt;|&#62;)" visit "$sample" /
    check "delete $sample" "OK" "$cf" delete -f -r "$sample"
    check "delete-service of $sample" "OK" "$cf" delete-service -f "notes-$offering" --wait
}

names=(flask-postgresql express-redis)
if command -v mvn >/dev/null; then
    names+=(spring-mariadb)
else
    echo "skipped: the sample spring-mariadb needs Maven"
fi
at_once notes "${names[@]}"
