# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here
services='{"user-provided":[{"credentials":{"uri":"redis://cache"}}],"db":[{"credentials":{"uri":"postgresql://u:p@host/db?x=1"}}]}'


stage "$fixtures/procfile-only" --skip-detect --buildpack binary=binary_buildpack
launch 'echo "$DATABASE_URL $TMPDIR $DEPS_DIR $PWD"' "VCAP_SERVICES=$services"
finish
check 'DATABASE_URL comes from the bound database; folders are set' contains "$log" \
  'postgres://u:p@host/db?x=1 /home/vcap/tmp /home/vcap/deps /home/vcap/app'
launch 'echo "url=$DATABASE_URL"' 'VCAP_SERVICES={}' 'DATABASE_URL=mine'
finish
check 'without a bound database DATABASE_URL stays as it is' contains "$log" 'url=mine'
launch 'echo "$VCAP_APPLICATION"' PORT= CF_INSTANCE_INDEX= 'VCAP_APPLICATION={}'
finish
check 'a task has neither port nor index' contains "$log" '{"host":"0.0.0.0","instance_id":"instance-1"}'
launch 'exit 5'
finish
check 'the exit code of the command is the exit code' equals "$code" 5
launch 'sleep 1000 && echo never'
for _ in $(seq 40); do [[ $(docker logs "$instance" 2>&1) == *'start command'* ]] && break; sleep 0.1; done
stop
check 'a command of several parts ends at SIGTERM' equals "$code" 143

# A droplet whose start command has all that JSON escapes, on a stack without jq.
mkdir -p "$work/edit/home/vcap/app"
printf '%s\n' '{"detected_buildpack":"x","start_command":"printf \"%s|\" \"a \\\\ b\" \u00e9 \"c/d\"\nexit 3"}' > "$work/edit/home/vcap/staging_info.yml"
tar -C "$work/edit" --owner=2000 --group=2000 -cf "$work/droplet.tar" home/vcap/app home/vcap/staging_info.yml
launch '' PATH=/no-jq:/bin
finish
check "the droplet's own start command is unescaped" contains "$log" 'a \ b|é|c/d|'
check 'and is a whole script' equals "$code" 3

# The app and its hooks use variables of any name, also of those that the scripts have.
rm -rf "$work/names" && make_report "$work/names/home/vcap/app" && mkdir -p "$work/names/home/vcap/app/.profile.d"
echo './report . hook' > "$work/names/home/vcap/app/.profile.d/hook.sh"
echo '[[ -z $SET_ALL ]] || while read -r NAME; do export "$NAME=kept"; done < names' > "$work/names/home/vcap/app/.profile"
echo '{"start_command":"./report ."}' > "$work/names/home/vcap/staging_info.yml"
tar -C "$work/names" --owner=2000 --group=2000 -cf "$work/droplet.tar" home/vcap/app home/vcap/staging_info.yml
mapfile -t variables < <(sed 's/$/=kept/' "$work/names/home/vcap/app/names")
launch '' "${variables[@]}"
finish
check 'hooks and the command get variables of any name' equals "$log" \
  $'Invoking pre-start scripts.\nhook lost: nothing\nInvoking start command.\ncommand lost: nothing'
launch '' SET_ALL=yes
finish
check 'hooks can set them' equals "${log##*$'\n'}" 'command lost: nothing'
launch 'sleep 1000' "${variables[@]}"
check 'so it is with shell' equals "$(docker exec "$instance" /tmp/lifecycle/shell /home/vcap/app ./report . 2>&1)" $'hook lost: nothing\ncommand lost: nothing'
stop

stage "$fixtures/legacy" --skip-detect --buildpack legacy=legacy_buildpack
launch 'sleep 1000'
check 'shell gives the environment of the hooks, without .profile' equals \
  "$(docker exec "$instance" /tmp/lifecycle/shell /home/vcap/app bash -c 'echo "$LEGACY|$APP_PROFILE|$HOME|$PWD"')" 'compiled||/home/vcap/app|/home/vcap/app'
stop
