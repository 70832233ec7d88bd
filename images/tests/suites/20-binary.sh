# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here
binary=(--skip-detect --buildpack binary=binary_buildpack)

feature binary 'runs the start command of the Procfile or of the user; without one the app says what is missing'
stage "$fixtures/binary" "${binary[@]}"
check 'the binary buildpack stages what it is asked to' equals "$code" 0
launch './serve one "two three"' 'GREETING=hello world'
check 'a start command given by the user runs, with quotes kept' equals "$(answer /)" 'one|two three|hello world|/home/vcap/app'
stop
check 'SIGTERM reaches the app' contains "$log" 'caught SIGTERM'
check "the app's own exit code is the instance's" equals "$code" 7
launch ''
finish
check 'without a command the app says what is missing' contains "$log" 'Error: no start command specified during staging or launch'
check 'and exits with 1' equals "$code" 1

stage "$fixtures/procfile-only" "${binary[@]}"
check 'a Procfile is staged when the binary buildpack is named' equals "$code" 0
check 'all its processes are known' equals "$(result_of '.process_types | [.web, .worker, .quoted] | join(";")')" \
  'bash serve.sh "$PORT";while true; do sleep 1; done;echo "a: b" # not a comment'
launch ''
check 'and its web process answers' equals "$(answer /)" 'from the Procfile'
stop

feature binary 'never detects an app: a Procfile alone does not tell that the app is ready to run'
stage "$fixtures/procfile-only" --buildpack staticfile=staticfile_buildpack --buildpack binary=binary_buildpack
check 'a Procfile alone is not detected' equals "$code" 222
check 'in the words of Cloud Foundry' contains "$log" 'None of the buildpacks detected a compatible application'
check 'and the last line says what to do' contains "${log##*$'\n'}" 'name a buildpack with -b: binary_buildpack runs what is ready to run'

feature binary 'finds what earlier buildpacks supplied'
stage "$fixtures/procfile-only" --skip-detect --buildpack supplier=supplier_buildpack --buildpack binary=binary_buildpack
launch supplied-tool
finish
check 'their programs are on the PATH' contains "$log" 'supplied tool'
