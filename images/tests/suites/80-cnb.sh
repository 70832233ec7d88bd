# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here

# The rules of the phases, each by itself, with the Python of the build image.
unit_tests() {
  local container
  container=$(docker create "${LABELS[@]}" --network none --user 2000:2000 --env PYTHONDONTWRITEBYTECODE=1 --env PYTHONPATH=/tmp/lifecycle/cnb --env LANG=C.UTF-8 \
    --entrypoint python3 "$IMAGES_BUILD" -m unittest discover -s /tmp/tests/cnb)
  tar -C "$images" --owner=2000 --group=2000 -cf - lifecycle tests/cnb | docker cp - "$container:/tmp"
  timeout "$STAGE_SECONDS" docker start -a "$container"
}
check 'the rules of the phases hold' unit_tests

given=$work/cnb/buildpacks
rm -rf "$work/cnb" && mkdir -p "$given"
tar -C "$fixtures/cnb/buildpacks" -czf "$given/tool" tool
tar -C "$fixtures/cnb/buildpacks/server" -czf "$given/server" .
tar -C "$fixtures/cnb/app" -czf "$given/nothing" .
echo 'no archive' > "$given/text"

# usage: stage_cnb [OPTION…] FIXTURE ARGUMENT…
stage_cnb() { stage --builder cnb-builder --buildpacks "$given" --env CNB_STACK_ID=cflinuxfs4 "$@"; }
both=(--buildpack tool=tool.tgz --buildpack server=server)

stage_cnb --env TOOL_SETTING=mine --env OTHER=hidden "$fixtures/cnb/app" --pass-env-var TOOL_SETTING "${both[@]}"
check 'two buildpacks stage one app' equals "$code" 0
check 'all phases are named' contains "${log//$'\n'/ }" '===> DETECTING fixtures/tool   1.2.3 fixtures/server 0.1.0 ===> RESTORING Layer cache not found ===> BUILDING'
check 'a buildpack sees what is required of it, and what users set' contains "$log" 'tool built 1 times for 1 requirement, TOOL_SETTING=mine'
check 'without a package cache packages come from where they always do' contains "$log" "come from elsewhere, Go's from elsewhere, proxies are for all but none"
check 'a later one sees the layers of an earlier one' contains "$log" 'server built with: tool says compiler at hand, for linux/'
check 'the default process is also web' equals "$(result_of '.process_types | keys | join(",")')" 'server,web,worker'
check 'its command is its words' equals "$(result_of .process_types.web)" 'serve two words $NOT_EXPANDED'
check 'both are in the metadata, in order' equals "$(result_of '.lifecycle_metadata.buildpacks | tojson')" \
  '[{"key":"fixtures/tool","name":"fixtures/tool@1.2.3","version":"1.2.3"},{"key":"fixtures/server","name":"fixtures/server@0.1.0","version":"0.1.0"}]'
files=$(tar -tf "$work/droplet.tar")
check 'bills of materials are in the droplet' contains "$files" 'home/vcap/layers/sbom/launch/fixtures_tool/tool/sbom.cdx.json'
check 'of the app, too' contains "$files" 'home/vcap/layers/sbom/launch/fixtures_server/sbom.cdx.json'
check 'layers for building are not' lacks "$files" compiler
check 'metadata.toml has the labels' contains "$(tar -xOf "$work/droplet.tar" home/vcap/layers/config/metadata.toml)" 'key = "made.by"'
check 'the cache has what is to be kept' contains "$(tar -tf "$work/output-cache.tar")" layers/fixtures_tool/store.toml

launch_with cnb-launcher app 'serve two words $NOT_EXPANDED' FOLDERS=/second
check 'a process gets its words and what its layers set' equals "$(answer /)" \
  'the page|tool says hello|for all|set by "exec.d" in workspace|/first:/second|two words|$NOT_EXPANDED'
stop
check 'it ends at SIGTERM' equals "$code" 143
check 'what exec.d programs print is in the log' contains "$log" 'program ran'
launch_with cnb-launcher app ''
check 'without a command web is started, with what is for its type' contains "$(answer /)" 'the page|tool says hello|only web|'
stop
launch_with cnb-launcher app 'bash -c echo worker $GREETING in $PWD; exit 4'
finish
check 'a process has its own folder and its exit code' equals "$code|$log" $'4|program ran\nworker for all in /tmp'
launch_with cnb-launcher app 'echo "$GREETING|$FROM_PROFILE|$PWD|$HOME|$CNB_LAYERS_DIR" && exit 5' CNB_LAYERS_DIR=/home/vcap/layers
finish
check 'any other command is run by bash, after the profile scripts' equals "$code|${log##*$'\n'}" '5|for all|profile|/home/vcap/workspace|/home/vcap|'
launch_with cnb-launcher -- 'tool task "$DATABASE_URL"' 'VCAP_SERVICES={"db":[{"credentials":{"uri":"mysql://u:p@h/d"}}]}'
finish
check 'so is a task' contains "$log" 'tool says task mysql2://u:p@h/d'

cp "$work/output-cache.tar" "$work/kept-cache.tar"
stage_cnb --env CFLITE_PACKAGES=http://cache.test:900 --env GOPROXY=mine "$fixtures/cnb/app" --pass-env-var GOPROXY "${both[@]}"
check 'with one buildpacks use it, unless the user said otherwise' contains "$log" \
  "come from http://cache.test:900/pypi/simple, Go's from mine, proxies are for all but cache.test"
stage_cnb --cache "$work/kept-cache.tar" "$fixtures/cnb/app" "${both[@]}"
check 'the next staging gets its layers back' contains "$log" 'Restoring data for "fixtures/tool:tool" from cache'
check 'with their files' contains "$log" 'tool built 2 times'
cut_cache > "$work/broken-cache.tar"
stage_cnb --cache "$work/broken-cache.tar" "$fixtures/cnb/app" "${both[@]}"
check 'a broken cache does no harm' equals "$code" 0
check 'and is gone' contains "$log" $'The build cache cannot be read: staging continues without it.\nUsing buildpacks'

cp -r "$fixtures/cnb/app" "$work/cnb/names" && make_report "$work/cnb/names"
mapfile -t passed_on < <(sed 's/^/--pass-env-var=/' "$work/cnb/names/names")
stage_cnb "${kept[@]}" "$work/cnb/names" "${passed_on[@]}" "${both[@]}"
check "buildpacks get variables of any name, also of those that builder's script has" contains "$log" 'build lost: nothing'

stage_cnb "$fixtures/cnb/app" --auto-detect --buildpack server=server --buildpack tool=tool
check 'alone neither has a plan that holds' equals "$code" 233
check 'which is said' contains "${log##*$'\n'}" 'fixtures/tool@1.2.3 provides unused tool'
cp -r "$fixtures/cnb/app" "$work/cnb/unwanted" && touch "$work/cnb/unwanted/no-tool"
stage_cnb "$work/cnb/unwanted" "${both[@]}"
check 'nothing detected is 233' equals "$code" 233
check 'with what the buildpack printed' contains "$log" 'the app does not want a tool'
cp -r "$fixtures/cnb/app" "$work/cnb/broken" && touch "$work/cnb/broken/break-the-build"
stage_cnb "$work/cnb/broken" "${both[@]}"
check 'a failing build is 234' equals "$code" 234
check 'and named' equals "${log##*$'\n'}" 'ERROR: Failed to run bin/build of fixtures/server@0.1.0: exit status 7'
stage_cnb "$fixtures/cnb/app" --buildpack text=text
check 'no archive is 232' equals "$code" 232
check 'and named so' contains "${log##*$'\n'}" 'text is not a tar archive, or a broken one'
stage_cnb "$fixtures/cnb/app" --buildpack nothing=nothing
check 'no buildpack is 232' contains "$code ${log##*$'\n'}" '232 ERROR: nothing is neither an image of buildpacks nor the folder of one'
stage_cnb "$fixtures/cnb/app" --download remote=https://user:secret@nowhere.invalid/x.tgz --buildpack remote=https://user:secret@nowhere.invalid/x.tgz
check 'what cannot be downloaded is 232' equals "$code" 232
check 'with the reason and what to do' contains "${log##*$'\n'}" 'cannot be fetched: curl: (6)'
check 'and without credentials' lacks "$log" secret

# An archive behind a password, served inside the container: downloads need no network.
cp -r "$fixtures/cnb/app" "$work/cnb/remote"
cat > "$work/cnb/remote/prepare" << 'PREPARE'
cat > /tmp/serve.py << 'SERVER'
import http.server

class Archive(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        allowed = self.headers["Authorization"] == "Bearer let-me-in" and self.path == "/{a,b}[1-2].cnb"
        self.send_response(200 if allowed else 401)
        self.end_headers()
        if allowed:
            self.wfile.write(open("/tmp/buildpacks/server", "rb").read())

http.server.HTTPServer(("127.0.0.1", 9000), Archive).serve_forever()
SERVER
python3 /tmp/serve.py 2> /dev/null &
until curl -s localhost:9000 > /dev/null; do sleep 0.1; done
PREPARE
remote=(--download 'remote=http://127.0.0.1:9000/{a,b}[1-2].cnb' --buildpack tool=tool --buildpack remote=server)
stage_cnb --env 'CNB_REGISTRY_CREDS={"127.0.0.1:9000":{"token":"let-me-in"}}' "$work/cnb/remote" "${remote[@]}"
check 'an archive is downloaded with its credentials, from the URL as it is written' equals "$code" 0
check 'and used' contains "$log" 'fixtures/server 0.1.0'
stage_cnb "$work/cnb/remote" "${remote[@]}"
check 'without them it is 232' equals "$code" 232
check 'and the reason is named' contains "${log##*$'\n'}" 'curl: (22) The requested URL returned error: 401'

# All buildpacks by URL: the platform brings no folder of buildpacks. The server is the only neighbour in a network of its own.
network=cflite-test-$$
docker network create --internal "${LABELS[@]:0:4}" "$network" > /dev/null
server=$(docker create "${LABELS[@]}" --network "$network" --network-alias archives.test --entrypoint python3 "$IMAGES_BUILD" \
  -m http.server --directory /srv 9000)
tar -C "$given" -cf - tool server | docker cp - "$server:/srv"
docker start "$server" > /dev/null
for _ in $(seq 100); do docker exec "$server" curl -s localhost:9000 > /dev/null && break; sleep 0.1; done
stage --builder cnb-builder --buildpacks - --network "$network" --env CNB_STACK_ID=cflinuxfs4 "$fixtures/cnb/app" \
  --download a=http://archives.test:9000/tool --download b=http://archives.test:9000/server --buildpack a=tool --buildpack b=server
check 'an app stages when all its buildpacks are downloaded' equals "$code" 0
check 'with both of them' contains "$log" 'server built with: tool says compiler at hand'
docker rm -f "$server" > /dev/null
docker network rm "$network" > /dev/null
stage_cnb "$fixtures/cnb/app" --nonsense
check 'a wrong flag is 231' equals "$code" 231
