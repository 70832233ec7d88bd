# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here

# The servers of the custom buildpack are in the staging container (fixtures/custom/prepare): no network is needed.
# usage: stage_custom MODE [OPTION…] BUILDER_ARGUMENT…
stage_custom() {
  local mode=$1 options=()
  shift
  while [[ $1 == --cache || $1 == --env ]]; do
    options+=("$1" "$2")
    shift 2
  done
  rm -rf "$work/custom"
  cp -r "$fixtures/custom" "$work/custom"
  echo "$mode" > "$work/custom/mode"
  stage "${options[@]}" "$work/custom" --skip-detect "$@"
}
http=http://127.0.0.1:8000
last_line() { printf '%s' "${log##*$'\n'}"; }

feature custom 'a git URL with a branch, a tag or a commit, with submodules'
stage_custom online --custom "$http/pack.git"
check 'a custom buildpack is cloned' contains "$log" 'nested buildpack compiled'
check 'its submodules, too' contains "$log" 'part of a submodule'
check 'its commit is in the log' contains "$log" 'The buildpack is at commit '
check 'its key is its URL' equals "$(result_of .lifecycle_metadata.buildpack_key)" "$http/pack.git"
commit=$(sed -n 's/^The buildpack is at commit //p' <<< "$log")
cp "$work/output-cache.tar" "$work/kept-git.tar"
stage_custom online --custom "$http/pack.git#other"
check 'a branch is cloned' contains "$log" 'branched buildpack compiled'
stage_custom moved --custom "$http/pack.git#v1"
check 'a tag is cloned' contains "$log" "The buildpack is at commit $commit"
stage_custom moved --custom "$http/pack.git#$commit"
check 'a commit is cloned' contains "$log" 'nested buildpack compiled'
stage_custom moved --custom "$http/pack.git#${commit:0:8}"
check 'a commit may be short' contains "$log" "The buildpack is at commit $commit"
stage_custom online --custom git://127.0.0.1/pack.git#other
check 'so is a branch of a server that can send a part' contains "$log" 'branched buildpack compiled'
stage_custom online --custom "git://127.0.0.1/pack.git#$commit"
check 'and a commit of it' contains "$log" "The buildpack is at commit $commit"
stage_custom online --custom file:///tmp/work
check 'a repository on this file system is cloned' contains "$log" 'nested buildpack compiled'

feature custom 'a zip URL, also with everything in one more folder'
stage_custom online --custom "$http/pack.zip"
check 'a zip is downloaded and keeps its modes' contains "$log" 'nested buildpack compiled'
cp "$work/output-cache.tar" "$work/kept-zip.tar"

feature custom 'a downloaded buildpack is kept with the app: asked for again, and used when the server cannot be reached'
stage_custom online --cache "$work/kept-git.tar" --custom "$http/pack.git"
check 'the commit of the earlier staging is used again' contains "$log" "The buildpack is the one of the earlier staging, commit $commit"
check 'with its submodules' contains "$log" 'part of a submodule'
stage_custom moved --cache "$work/kept-git.tar" --custom "$http/pack.git"
check 'a branch that moved is cloned again' contains "$log" 'moved buildpack compiled'
stage_custom offline --cache "$work/kept-git.tar" --custom "$http/pack.git"
check 'offline the kept one is used' contains "$log" 'nested buildpack compiled'
check 'with one line that says so' contains "$(grep 'earlier staging' <<< "$log")" "cannot be reached (Failed to connect to 127.0.0.1 port 8000"
check 'and names the commit' contains "$log" "its copy of an earlier staging is used, commit $commit"
check 'and it is kept again' contains "$(tar -tf "$work/output-cache.tar")" /buildpack.tar
stage_custom online --cache "$work/kept-zip.tar" --custom "$http/pack.zip"
check 'a zip with the same ETag is not sent again' contains "$log" 'The buildpack is the one of the earlier staging, sha256 '
stage_custom moved --cache "$work/kept-zip.tar" --custom "$http/pack.zip"
check 'a newer zip is' contains "$log" 'moved buildpack compiled'
stage_custom offline --cache "$work/kept-zip.tar" --custom "$http/pack.zip"
check 'offline the kept zip is used' contains "$log" 'its copy of an earlier staging is used, sha256 '
stage_custom online --cache "$work/kept-zip.tar" --custom "$http/pack.git"
check 'one that the app no longer asks for is deleted' lacks "$(tar -tf "$work/output-cache.tar")" /buildpack.zip
stage_custom offline --custom "$http/pack.git"
check 'without a kept one staging fails' equals "$code" 226
check 'with the cause in one line' contains "$(last_line)" "the buildpack from $http/pack.git cannot be fetched: Failed to connect to 127.0.0.1 port 8000"

feature custom 'credentials in the URL work and appear nowhere'
stage_custom online --custom "http://alice:secret@127.0.0.1:8000/private/pack.git"
check 'a private repository is cloned' contains "$log" 'nested buildpack compiled'
check 'the log has no credentials' lacks "$log" secret
check 'nor the build cache' equals "$(tar -xOf "$work/output-cache.tar" | grep -cE 'alice:|secret')" 0
check 'nor what its scripts can read' lacks "$log" leaked
stage_custom online --custom "http://alice:secret@127.0.0.1:8000/private/pack.zip?sig=secret"
check 'a private zip is downloaded' contains "$log" 'nested buildpack compiled'
check 'neither credentials nor signature are in the log' lacks "$log" secret
stage_custom online --custom "http://alice:secret-wrong@127.0.0.1:8000/private/pack.git"
check 'wrong credentials are told' contains "$(last_line)" 'the server refuses the credentials in the URL'
check 'but not shown' lacks "$log" secret

feature custom 'one line with the cause when a buildpack cannot be had'
stage_custom online --custom "$http/private/pack.git"
check 'missing credentials of a repository' contains "$(last_line)" 'the server wants credentials: write them in the URL'
stage_custom online --custom "$http/private/pack.zip"
check 'and of a zip' contains "$(last_line)" 'the server wants other credentials (401)'
stage_custom online --custom "$http/nowhere.git"
check 'no such repository' contains "$(last_line)" 'there is no such repository (404)'
stage_custom online --custom "$http/nowhere.zip"
check 'no such file' contains "$(last_line)" 'there is no such file (404)'
stage_custom online --custom "$http/pack.git#nowhere"
check 'no such branch' contains "$(last_line)" 'it has no branch, tag or commit named nowhere; its branches are: main, other'
stage_custom online --custom "$http/pack.git#0123456"
check 'no such commit' contains "$(last_line)" 'it has no branch, tag or commit named 0123456'
stage_custom online --custom "$http/page.zip"
check 'not a zip' contains "$(last_line)" "is not a zip, it begins with '<!DOCTYPE html><p>Sign in'"
stage_custom online --custom "$http/down/pack.zip"
check 'a server that is down' contains "$(last_line)" 'the server answers 503'
stage_custom online --custom https://user:secret@nowhere.invalid/buildpack.git
check 'a host that does not exist' contains "$(last_line)" 'the buildpack from https://[redacted]@nowhere.invalid/buildpack.git cannot be fetched: the host name cannot be resolved (DNS): nowhere.invalid'
check 'all of them are 226' equals "$code" 226

feature custom 'several buildpacks: bin, lib, include, pkgconfig, env, profile.d, launch.yml and override.yml of earlier ones'
stage_custom online --custom "$http/pack.git" --buildpack binary=binary_buildpack
check 'a custom buildpack without supply can only be the last one' equals "$code" 225
stage_custom online --buildpack supplier=supplier_buildpack --custom "$http/pack.git"
check 'it warns that it cannot make use of what others supplied' contains "$log" 'not compatible with multi-buildpack apps'
stage "$fixtures/legacy" --skip-detect --buildpack library=library_buildpack --buildpack reporter=reporter_buildpack
check 'a later buildpack finds libraries, headers and variables' contains "$log" \
  'LD_LIBRARY_PATH=0/lib LIBRARY_PATH=0/lib CPATH=0/include PKG_CONFIG_PATH=0/pkgconfig FROM_ENV=text'
check 'and can compile against them' contains "$log" 'linked: 42'
check 'an override.yml that cannot be followed is told' contains "$log" \
  'override.yml of an earlier buildpack asks for other dependencies of reporter: this buildpack has no list of downloads to change'
feature custom 'processes and sidecars from the launch.yml of the last buildpack, instead of bin/release'
check 'its launch.yml has the processes' equals "$(result_of '.process_types | tojson')" '{"web":"answer"}'
check 'and the sidecars' equals "$(result_of '.sidecars[0].name')" helper
launch ''
finish
check 'the app finds programs and libraries' contains "$log" 'answer: 42, hook'
check 'no path of staging is left' lacks "$(tar -xOf "$work/droplet.tar" | tr -d '\0')" /tmp/contents

# What the built-in buildpacks download with, against a server in the same container.
rm -rf "$work/fetch" && mkdir -p "$work/fetch" && echo 'an app' > "$work/fetch/file.txt"
cat > "$work/fetch/prepare" << 'PREPARE'
mkdir /tmp/served && echo 'it is as it is called' > '/tmp/served/{a,b}[1-2]'
python3 -m http.server --bind 127.0.0.1 --directory /tmp/served 9000 > /dev/null 2>&1 &
for _ in $(seq 100); do curl -s localhost:9000 > /dev/null && break; sleep 0.1; done
source /tmp/buildpacks/common/lib.sh
source /tmp/buildpacks/common/fetch.sh
fetch_text 'http://127.0.0.1:9000/{a,b}[1-2]' || echo "$fetch_error"
PREPARE
stage "$work/fetch" --skip-detect --buildpack binary=binary_buildpack
check 'brackets and braces in the URL of a download mean themselves' contains "$log" 'it is as it is called'
