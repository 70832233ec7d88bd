# shellcheck shell=bash
# Services with the real CLI: brokers, the marketplace, instances, bindings and keys. Sourced by run.sh;
# acme/dev is targeted. The broker is broker.py.
# shellcheck disable=SC2154 # cf and data come from run.sh

start_broker() {
    local i
    docker tag "$image" "$image:away"
    OFFLINE_IMAGE=$image:away python3 tests/cf/broker.py "$data/broker-port" &
    broker=$!
    for ((i = 0; i < 100; i++)); do
        [[ -s $data/broker-port ]] && break
        sleep 0.1
    done
    broker_url=http://127.0.0.1:$(<"$data/broker-port")
}

brokers() {
    check "create-service-broker" "OK" "$cf" create-service-broker mine user secret "$broker_url"
    check "create-service-broker --update-if-exists" "OK" \
        "$cf" create-service-broker mine user secret "$broker_url" --update-if-exists
    refused "create-service-broker twice" "Name must be unique" "$cf" create-service-broker mine user secret "$broker_url"
    check "service-brokers" "^mine +$broker_url" "$cf" service-brokers
    check "update-service-broker" "OK" "$cf" update-service-broker mine user secret "$broker_url"
    check "rename-service-broker" "OK" "$cf" rename-service-broker mine ours
    check "service-access before" "db +small +none" "$cf" service-access
    check "enable-service-access for an org" "OK" "$cf" enable-service-access db -p large -o acme
    check "service-access of an org" "db +large +limited +acme" "$cf" service-access -e db
    check "disable-service-access for an org" "OK" "$cf" disable-service-access db -p large -o acme
    check "enable-service-access" "OK" "$cf" enable-service-access db
    check "disable-service-access of a plan" "OK" "$cf" disable-service-access db -p broken
    check "enable-service-access of a plan" "OK" "$cf" enable-service-access db -p broken
    check "enable-service-access of another" "OK" "$cf" enable-service-access proxy
    check "marketplace" "db +small, large, slow, broken, away +a database +ours" "$cf" marketplace
    check "marketplace -e" "large +a large one +paid" "$cf" marketplace -e db
}

instances() {
    check "create-service" "OK" "$cf" create-service db small data -t "one,two" -c '{"size":1}' --wait
    check "create-service twice" "already exists" "$cf" create-service db small data
    check "service" "status: +create succeeded" "$cf" service data
    check "service --guid" "^[0-9a-f-]{36}$" "$cf" service data --guid
    check "service --params" '"size": 1' "$cf" service data --params
    check "services" "data +db +small +create succeeded +ours" "$cf" services
    check "create-service that takes its time" "in progress" "$cf" create-service db slow late
    check "it is there in the end" "create succeeded" eventually "create succeeded" "$cf" service late
    refused "create-service that fails" "there is no room" "$cf" create-service db broken none --wait
    check "the broker's words" "create failed" "$cf" service none
    check "delete-service that failed" "OK" "$cf" delete-service -f none --wait
    check "update-service" "OK" "$cf" update-service data -p large -c '{"size":2}' --wait
    check "update-service -t" "OK" "$cf" update-service data -t three
    check "upgrade-service" "No upgrade is available|OK" "$cf" upgrade-service data -f
    check "rename-service" "OK" "$cf" rename-service late later
}

bindings() {
    check "create-app to bind" "OK" "$cf" create-app bound
    check "bind-service" "OK" "$cf" bind-service bound data -c '{"role":"reader"}' --binding-name main --wait
    check "bind-service twice" "already bound" "$cf" bind-service bound data --binding-name main
    check "env shows what is bound" "db://user:secret@host/name" "$cf" env bound
    check "services with what is bound" "data +db +large +bound" "$cf" services
    check "service with what is bound" "bound +main" "$cf" service data
    check "cleanup-outdated-service-bindings" "OK" "$cf" cleanup-outdated-service-bindings bound --service-instance data --force
    check "unbind-service" "OK" "$cf" unbind-service bound data --wait
    check "create-service-key" "OK" "$cf" create-service-key data key -c '{"role":"reader"}' --wait
    check "create-service-key twice" "already exists" "$cf" create-service-key data key
    check "service-keys" "^key +create succeeded" "$cf" service-keys data
    check "service-key" "db://user:secret@host/name" "$cf" service-key data key
    check "service-key --guid" "[0-9a-f-]{36}" "$cf" service-key data key --guid
    check "delete-service-key" "OK" "$cf" delete-service-key -f data key --wait
}

route_services() {
    check "create-service of a proxy" "OK" "$cf" create-service proxy free front --wait
    check "create-route to bind" "OK" "$cf" create-route cf.localhost --hostname fronted
    check "bind-route-service" "OK" "$cf" bind-route-service cf.localhost front --hostname fronted --wait
    check "routes show it" "fronted.*front" "$cf" routes
    check "unbind-route-service" "OK" "$cf" unbind-route-service -f cf.localhost front --hostname fronted --wait
    check "delete-route that was bound" "OK" "$cf" delete-route -f cf.localhost --hostname fronted
    check "delete-service of the proxy" "OK" "$cf" delete-service -f front --wait
}

provided() {
    check "create-user-provided-service" "OK" "$cf" create-user-provided-service own -p '{"uri":"own://uri"}' -t mine
    check "bind-service of one's own" "OK" "$cf" bind-service bound own
    check "env shows one's own" "own://uri" "$cf" env bound
    check "update-user-provided-service" "OK" "$cf" update-user-provided-service own -p '{"uri":"new://uri"}'
    check "env follows" "new://uri" "$cf" env bound
    refused "create-service-key of one's own" "not supported for user-provided" "$cf" create-service-key own key
    printf 'applications:\n- name: bound\n  no-route: true\n  services: [own, {name: data, binding_name: again}]\n' >"$data/services.yml"
    check "apply a manifest with services" "OK|Applying manifest" "$cf" apply-manifest -f "$data/services.yml"
    check "create-app-manifest names them" "OK" "$cf" create-app-manifest bound -p "$data/written.yml"
    check "the manifest names them" "binding_name: again" cat "$data/written.yml"
    check "unbind-service of one's own" "OK" "$cf" unbind-service bound own
    check "delete-service of one's own" "OK" "$cf" delete-service -f own
}

sharing() {
    check "enable sharing" "OK" "$cf" enable-feature-flag service_instance_sharing
    check "create-space to share with" "OK" "$cf" create-space beside -o acme
    check "share-service" "OK" "$cf" share-service data -s beside
    check "service that is shared" "beside" "$cf" service data
    check "unshare-service" "OK" "$cf" unshare-service -f data -s beside
    check "delete-space beside" "OK" "$cf" delete-space -f beside -o acme
}

the_end() {
    refused "delete-service-broker in use" "associated service instances" "$cf" delete-service-broker -f ours
    check "delete-app with a binding" "OK" "$cf" delete -f bound
    check "delete-service" "OK" "$cf" delete-service -f data --wait
    check "purge-service-instance" "OK" "$cf" purge-service-instance -f later
    check "purge-service-offering" "OK" "$cf" purge-service-offering -f proxy
    check "delete-service-broker" "OK" "$cf" delete-service-broker -f ours
    check "marketplace without offers of others" "redis +small, medium, large .* cflite$" "$cf" marketplace
    check "the offer that is gone" "No service offerings found" "$cf" marketplace -e db
    check "a broker of the space" "OK" "$cf" create-service-broker own user secret "$broker_url" --space-scoped
    check "its offers" "db +small" "$cf" marketplace
    check "it goes" "OK" "$cf" delete-service-broker -f own
}

# A service of the broker that is made on this machine, from the image that its plan names.
stand_in() {
    check "create-service offline" "OK" "$cf" create-service db away stand-in -c '{"x-cflite":{"mode":"offline"}}' --wait
    check "service tells of the stand-in" "offline stand-in [(]$image" "$cf" service stand-in
    check "create-service-key offline" "OK" "$cf" create-service-key stand-in one --wait
    check "the keys are those of the plan" '"page": "http://127.0.0.1:' "$cf" service-key stand-in one
    check "the image answers" "from an image" \
        curl --silent --max-time 20 "$("$cf" service-key stand-in one | sed '1,/^$/d' | jq -r .credentials.page)"
    check "delete-service-key offline" "OK" "$cf" delete-service-key -f stand-in one --wait
    check "delete-service offline" "OK" "$cf" delete-service -f stand-in --wait
    docker rmi "$image:away" >/dev/null
}

# The services of a space as a file says.
deployment() {
    local file=$data/services.yml deploy
    deploy=("$cflite" deploy -f "$file" --org acme --space dev --data-dir "$data/cflite")
    printf 'services:\n- {name: page, image: "%s", depends_on: [store]}\n- {name: store, offering: redis}\n' "$image" >"$file"
    check "deploy --dry-run" "store +redis small" "${deploy[@]}" --dry-run
    refused "it makes nothing" "not found" "$cf" service store
    refused "deploy without a terminal" "Refusing without --yes" "${deploy[@]}"
    check "deploy" "[+] +page +container image" "${deploy[@]}" --yes
    check "its services" "store +redis +small +create succeeded" eventually "store +redis" "$cf" services
    check "deploy again" "= +store +unchanged" "${deploy[@]}"
    printf 'services:\n- {name: store, offering: redis, memory: 300m}\n' >"$file"
    check "deploy a change" '~ +store +memory: - -> "300m"' "${deploy[@]}" --yes --prune
    refused "what left the file is gone" "not found" "$cf" service page
    check "alerts" "No alerts" "$cflite" alerts list --data-dir "$data/cflite"
    check "delete-service of the file" "OK" "$cf" delete-service -f store --wait
}

# Databases in containers of this machine.
data_services() {
    local backup
    check "create-service redis" "OK" "$cf" create-service redis small cache --wait
    check "service redis" "status: +create succeeded" "$cf" service cache
    refused "create-service with a wrong parameter" "has to be one of" \
        "$cf" create-service redis small wrong -c '{"maxmemory_policy":"none"}' --wait
    check "delete-service that never was" "OK" "$cf" delete-service -f wrong --wait
    check "create-service-key of redis" "OK" "$cf" create-service-key cache one --wait
    check "service-key of redis" "redis://u[0-9a-f]{16}:.*@127.0.0.1:" "$cf" service-key cache one
    check "bind-service redis" "OK" "$cf" bind-service bound cache --wait
    check "env of redis" "[.]svc[.]internal" "$cf" env bound
    check "update-service memory" "OK" "$cf" update-service cache -c '{"memory":"320m"}' --wait
    check "service --params of redis" '"memory": "320m"' "$cf" service cache --params
    check "update-service -p" "OK" "$cf" update-service cache -p medium --wait
    check "update-service with a backup" "OK" "$cf" update-service cache -c '{"backup":"now","tag":"v1"}' --wait
    check "the backup is listed" "v1" "$cflite" services backups cache --data-dir "$data/cflite"
    backup=$("$cflite" services backups cache --json --data-dir "$data/cflite" | jq -r '.backups[0].guid')
    check "update-service with a restore" "OK" "$cf" update-service cache -c "{\"restore\":\"$backup\"}" --wait
    check "the restore is told" "restored the backup" "$cflite" services show cache --data-dir "$data/cflite"
    refused "a restore of nothing" "there is no backup" \
        "$cf" update-service cache -c '{"restore":"nothing"}' --wait
    check "unbind-service redis" "OK" "$cf" unbind-service bound cache --wait
    check "delete-service-key of redis" "OK" "$cf" delete-service-key -f cache one --wait
    check "delete-service redis" "OK" "$cf" delete-service -f cache --wait
}

if command -v python3 >/dev/null; then
    start_broker
    brokers
    instances
    bindings
    route_services
    provided
    sharing
    stand_in
    deployment
    data_services
    the_end
    kill "$broker"
else
    echo "skipped: services need python3"
fi
