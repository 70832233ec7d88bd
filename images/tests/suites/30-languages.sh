# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here
stage "$fixtures/python-vendored" --buildpack staticfile=staticfile_buildpack --buildpack python=python_buildpack
check 'a Python app with vendored packages stages without a network' equals "$code" 0
check 'its metadata names python' equals "$(result_of .lifecycle_metadata.detected_buildpack)" python
check 'no path of staging is kept in the droplet' lacks "$(tar -xOf "$work/droplet.tar" --exclude 'home/vcap/deps/*/env' --exclude '*.pyc' home/vcap/deps | tr -d '\0' | grep -aoE '/tmp/(contents|app)[^ ]*' | head -n 1)" /tmp
launch ''
check 'its console script and its modules are found; VCAP_APPLICATION is completed' equals "$(answer /)" \
  'vendored other 1 {"name":"fixture","host":"0.0.0.0","instance_id":"instance-1","instance_index":0,"port":8080}'
stop

stage "$fixtures/node" --buildpack nodejs=nodejs_buildpack --buildpack python=python_buildpack
check 'a Node.js app without dependencies stages without a network' equals "$code" 0
check 'its start command is npm start' equals "$(result_of .process_types.web)" 'npm start'
launch ''
check 'its build scripts ran, its environment is set' equals "$(answer /)" 'node production 512 before after '
stop
check 'npm hands SIGTERM to the app' contains "$log" closing

stage "$fixtures/ruby" --buildpack ruby=ruby_buildpack
check 'a Ruby app with vendored gems stages without a network' equals "$code" 0
launch ''
check 'its gem is found' equals "$(answer /)" 'from a vendored gem production'
stop

stage "$fixtures/ruby-newer-lock" --buildpack ruby=ruby_buildpack
check 'without a gem server the gems of the stack will do, and that is said' contains "$log" "instead of Gemfile.lock's versions the stack's are used"
check 'the start command is that of a rack app' equals "$(result_of .process_types.web)" 'bundle exec rackup config.ru -p $PORT -o 0.0.0.0'
launch ''
check 'and the app answers with them' equals "$(answer /)" newer
stop

stage "$fixtures/python-missing" --buildpack python=python_buildpack
check 'a requirement that can not be had fails the staging' equals "$code" 223
check 'and is named' contains "$log" 'No matching distribution found for no-such-package-here'
stage "$fixtures/node-22" --buildpack nodejs=nodejs_buildpack
check 'a Node.js that the stack does not have fails the staging without a network' equals "$code" 223
check 'and is named too' contains "$log" 'this stack has no Node.js 22.x, only'
