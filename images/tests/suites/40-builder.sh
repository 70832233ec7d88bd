# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here

# hash_of KEY: the name of a buildpack's cache folder
hash_of() { printf '%s' "$1" | sha256sum | cut -c1-16; }

stage "$fixtures/two-buildpacks" --skip-detect --buildpack supplier=supplier_buildpack --buildpack python=python_buildpack
check 'two buildpacks stage one app' equals "$code" 0
check 'the first one has a cache of its own' contains "$log" "supplier ran 1 times, cache $(hash_of supplier), index 0"
check 'both are in the metadata, in order' equals "$(result_of '[.lifecycle_metadata.buildpacks[] | .name + " " + .version] | join(",")')" 'supplier 2.5,python 1.0.0'
check 'the key is the last one' equals "$(result_of .lifecycle_metadata.buildpack_key)" python
check 'processes of launch.yml and Procfile are merged' equals "$(result_of '.process_types | keys | join(",")')" 'web,worker'
check 'a sidecar is told apart' equals "$(result_of '.sidecars[0] | tojson')" \
  '{"name":"helper","process_types":["web"],"command":"sleep 1000","memory":64}'
launch ''
check 'the app sees what both supplied' equals "$(answer /)" 'supplied tool|hooked|greeting'
stop
cp "$work/output-cache.tar" "$work/kept-cache.tar"
stage --cache "$work/kept-cache.tar" "$fixtures/two-buildpacks" --skip-detect --buildpack supplier=supplier_buildpack --buildpack python=python_buildpack
check 'the next staging gets its cache back' contains "$log" 'supplier ran 2 times'
stage --cache "$work/kept-cache.tar" "$fixtures/legacy" --buildpack legacy=legacy
check 'a cache of a buildpack that is gone is deleted' lacks "$(tar -tf "$work/output-cache.tar")" "$(hash_of supplier)"

stage "$fixtures/legacy" --buildpack supplier2=none --buildpack legacy=legacy
check 'a buildpack that does not exist is malformed' equals "$code" 225
cut_cache > "$work/broken-cache.tar"
stage --cache "$work/broken-cache.tar" "$fixtures/legacy" --buildpack python=python_buildpack --buildpack legacy=legacy_buildpack
check 'a compile buildpack stages, a broken cache does no harm' equals "$code" 0
check 'the broken cache is mentioned' contains "$log" 'build cache cannot be read'
check 'and nothing of it is kept' lacks "$(tar -tf "$work/output-cache.tar")" cnb
check 'what detect printed describes it' equals "$(result_of .lifecycle_metadata.detected_buildpack)" 'Legacy 1'
launch ''
finish
check 'hooks run in order and reach the command' contains "$log" $'Invoking start command.\ncompiled in /home/vcap/app\nprofile after compiled'

ten=()
for _ in 1 2 3 4 5 6 7 8 9; do ten+=(--buildpack supplier=supplier_buildpack); done
stage "$fixtures/procfile-only" --skip-detect "${ten[@]}" --buildpack binary=binary_buildpack
check 'with ten buildpacks the indexes have two digits' contains "$log" 'index 08'

stage "$fixtures/procfile-only" --skip-detect --buildpack nested=nested
check 'a buildpack in one more folder is found' contains "$log" 'nested buildpack compiled'
stage "$fixtures/legacy" --buildpack staticfile=staticfile_buildpack --buildpack python=python_buildpack --buildpack binary=binary_buildpack
check 'nothing detected is 222' equals "$code" 222
check 'what was looked for is named' contains "$log" 'staticfile_buildpack (Staticfile), python_buildpack (requirements.txt, setup.py'
stage "$fixtures/legacy" --skip-detect --buildpack broken-compile=broken
check 'a failing compile is 223' equals "$code" 223
check 'its output is in the log' contains "$log" 'about to break'
check 'and why it failed is the last line' contains "${log##*$'\n'}" 'Failed to run compile script of broken: exit status'
stage "$fixtures/legacy" --skip-detect --buildpack broken-finalize=broken
check 'a failing finalize is 223, and it got five arguments' equals "$code" 223
check 'result.json is written all the same' equals "$(result_of .lifecycle_metadata.buildpacks[0].name)" broken
stage "$fixtures/legacy" --skip-detect --buildpack broken-release=broken
check 'a release that prints no YAML is 224' equals "$code" 224
stage "$fixtures/legacy" --skip-detect --buildpack broken-supply=broken --buildpack binary=binary_buildpack
check 'a failing supply of an earlier buildpack is 225' equals "$code" 225
check 'and is named in the last line' contains "${log##*$'\n'}" 'Failed to run supply script of broken: exit status'
stage "$fixtures/legacy" --skip-detect --buildpack legacy=legacy --buildpack binary=binary_buildpack
check 'an earlier buildpack without supply is 225' equals "$code" 225
stage "$fixtures/legacy" --skip-detect --buildpack malformed=malformed
check 'a buildpack without bin is 225' equals "$code" 225
stage "$fixtures/legacy" --skip-detect --custom https://user:secret@nowhere.invalid/buildpack.git
check 'a custom buildpack that can not be fetched is 226' equals "$code" 226
check 'its credentials are not in the log' lacks "$log" secret
check 'why is in the last line' contains "${log##*$'\n'}" 'the buildpack from https://[redacted]@nowhere.invalid/buildpack.git cannot be fetched: the host name cannot be resolved'
stage "$fixtures/legacy" --skip-detect --custom 'https://user:alpha@omega@nowhere.invalid/buildpack.zip?a=@'
check 'a password with an @ is not in the log' equals "$code|$(grep -cE 'alpha|omega' <<< "$log")" '226|0'
check 'but what follows the host is' contains "$log" 'https://[redacted]@nowhere.invalid/buildpack.zip?[redacted]'
stage "$fixtures/legacy" --buildpack broken-compile=https://user:alpha@omega@nowhere.invalid/buildpack.git
check 'nor in what says that nothing detected the app' equals "$code|$(grep -cE 'alpha|omega' <<< "$log")" '222|0'
stage "$fixtures/legacy" --nonsense
check 'a wrong flag is 1' equals "$code" 1
stage "$fixtures/broken-procfile" --skip-detect --buildpack binary=binary_buildpack
check 'a broken Procfile is 1' equals "$code" 1
check 'and is named' contains "$log" 'Procfile is not valid YAML'

# Words that YAML 1.1 resolves to other types are still commands: on the fast path and on the full one, which a colon triggers.
rm -rf "$work/words" && mkdir -p "$work/words"
printf 'web: sleep 1000\nworker: yes\nother: 0123\n' > "$work/words/Procfile"
stage "$work/words" --skip-detect --buildpack binary=binary_buildpack
check 'yes and 0123 are commands' equals "$(result_of '.process_types | tojson')" '{"web":"sleep 1000","worker":"yes","other":"0123"}'
printf 'web: "echo :"\nworker: yes # a comment\nother: 0123 # a comment\nclock: 1:30\nday: 2020-01-01\nnone: ~\n' > "$work/words/Procfile"
stage "$work/words" --skip-detect --buildpack binary=binary_buildpack
check 'as are times, dates and commented words' equals "$(result_of '.process_types | tojson')" \
  '{"web":"echo :","worker":"yes","other":"0123","clock":"1:30","day":"2020-01-01","none":""}'
printf 'web: [a, b]\n' > "$work/words/Procfile"
stage "$work/words" --skip-detect --buildpack binary=binary_buildpack
check 'a command that is a list is refused' equals "$code" 1
check 'and named' contains "${log##*$'\n'}" 'the command of web is not a text'

# Buildpacks get variables of any name, also of those that builder's scripts have.
rm -rf "$work/names" && make_report "$work/names/app"
mkdir -p "$work/names/buildpacks"/{classic,modern}/bin
for script in classic/bin/{detect,compile,release} modern/bin/{supply,finalize}; do cp "$work/names/app/report" "$work/names/buildpacks/$script"; done
stage "${kept[@]}" --buildpacks "$work/names/buildpacks" "$work/names/app" --buildpack classic=classic
check 'detect, compile and release get all variables' equals "$(grep -c 'lost: nothing$' <<< "$log")|${log//[$'\n']/ }" \
  '3|detect lost: nothing compile lost: nothing release lost: nothing'
stage "${kept[@]}" --buildpacks "$work/names/buildpacks" "$work/names/app" --skip-detect --buildpack modern=first --buildpack modern=second
check 'supply and finalize, too' contains "${log//[$'\n']/ }" 'supply lost: nothing supply lost: nothing finalize lost: nothing'
# A path with a = is not a variable.
mkdir -p "$work/names/buildpacks/nested" && mv "$work/names/buildpacks/classic" "$work/names/buildpacks/nested/a=b"
stage "${kept[@]}" --buildpacks "$work/names/buildpacks" "$work/names/app" --skip-detect --buildpack nested=nested
check 'a buildpack in a folder with = in its name is run' contains "$log" 'compile lost: nothing'
