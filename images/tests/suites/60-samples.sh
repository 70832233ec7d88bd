# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here
all=(--buildpack staticfile=staticfile_buildpack --buildpack ruby=ruby_buildpack --buildpack nodejs=nodejs_buildpack
  --buildpack python=python_buildpack --buildpack binary=binary_buildpack)

# usage: try_sample NAME NETWORK EXPECTED [COMMAND]
try_sample() {
  stage --network "$2" "$samples/$1" "${all[@]}"
  check "the sample $1 stages" equals "$code" 0
  launch "${4:-}"
  check "the sample $1 answers" contains "$(answer /)" "$3"
  stop
}

try_sample static none '<h1>Welcome to cflite</h1>'
try_sample rack none 'Hello from Rack on cflite, instance 0'
stage "$samples/binary" --skip-detect --buildpack binary=binary_buildpack
launch ./serve.sh
check 'the sample binary answers' equals "$(answer /)" 'Hello from fixture, instance 0'
stop

# The rest install from package indexes, which a machine may not reach.
if docker run --rm "${LABELS[@]}" --entrypoint python3 "$IMAGES_BUILD" -m pip download -q --retries 1 --no-deps -d /tmp 'Flask==3.1.2' > /dev/null 2>&1; then
  try_sample flask bridge '"message":"Hello from Flask on cflite"'
  try_sample express bridge '"message":"Hello from Express on cflite"'
  stage --network bridge "$fixtures/node-22" --buildpack nodejs=nodejs_buildpack
  check 'a Node.js that the stack does not have is fetched' equals "$code" 0
  launch ''
  finish
  check 'and runs the app' contains "$log" $'\nv22.'
else
  skipped=$((skipped + 6))
  echo 'skip  no package index answers in a container: the samples flask and express, fetching a Node.js'
fi
