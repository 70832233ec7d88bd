# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here
stage "$fixtures/binary" --skip-detect --buildpack binary=binary_buildpack
check 'the binary buildpack stages what it is asked to' equals "$code" 0
launch './serve one "two three"' 'GREETING=hello world'
check 'a start command given by the user runs, with quotes kept' equals "$(answer /)" 'one|two three|hello world|/home/vcap/app'
stop
check 'SIGTERM reaches the app' contains "$log" 'caught SIGTERM'
check "the app's own exit code is the instance's" equals "$code" 7
launch ''
finish
check 'without a command the app says what is missing' contains "$log" 'no start command specified'
check 'and exits with 1' equals "$code" 1

stage "$fixtures/procfile-only" --buildpack staticfile=staticfile_buildpack --buildpack binary=binary_buildpack
check 'a Procfile alone is staged with the binary buildpack' equals "$code" 0
check 'all its processes are known' equals "$(result_of '.process_types | [.web, .worker, .quoted] | join(";")')" \
  'bash serve.sh "$PORT";while true; do sleep 1; done;echo "a: b" # not a comment'
launch ''
check 'and its web process answers' equals "$(answer /)" 'from the Procfile'
stop

stage "$fixtures/procfile-only" --buildpack staticfile=staticfile_buildpack
check 'without the binary buildpack nothing detects it' equals "$code" 222
