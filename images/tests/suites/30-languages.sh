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
check "without a gem server the stack's gems are used, with a warning" contains "$log" "using the stack's versions instead of Gemfile.lock's: rack"
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

cp -r "$fixtures/python-vendored" "$work/pipfile"
rm "$work/pipfile/requirements.txt" "$work/pipfile/runtime.txt"
touch "$work/pipfile/Pipfile"
cat > "$work/pipfile/Pipfile.lock" << 'LOCK'
{"_meta": {"requires": {"python_version": "3.9"}}, "default": {"greeting": {"version": "==1.2"}, "other": {"version": "==1.2", "markers": "python_version >= '3'"}}}
LOCK
stage "$work/pipfile" --buildpack python=python_buildpack
check 'a Pipfile.lock is enough to install from' equals "$code" 0
check 'another minor version of Python is a warning' contains "$log" 'Pipfile.lock asks for Python 3.9: the app will run on Python 3.'
echo python-2.7.18 > "$work/pipfile/runtime.txt"
stage "$work/pipfile" --buildpack python=python_buildpack
check 'another major version of Python is an error' contains "$log" 'runtime.txt asks for Python 2.7.18; this stack has Python 3.'

mkdir -p "$work/django/django/core" "$work/django/vendor"
printf 'import sys\nprint("collected", sys.argv[1:])\n' > "$work/django/manage.py"
touch "$work/django/requirements.txt" "$work/django/django/__init__.py"
stage --env "PYTHONPATH=/tmp/app" "$work/django" --buildpack python=python_buildpack
check "Django's static files are collected" contains "$log" "collected ['collectstatic', '--noinput', '--traceback']"
stage --env "PYTHONPATH=/tmp/app" --env DISABLE_COLLECTSTATIC=1 "$work/django" --buildpack python=python_buildpack
check 'unless that is disabled' contains "$log" 'DISABLE_COLLECTSTATIC is set'

# Compilers and headers of the build image: a gem, a module for Python.
mkdir -p "$work/native/ext"
printf '#include <Python.h>\nstatic struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "native", 0, -1, 0};\nPyMODINIT_FUNC PyInit_native(void) { return PyModule_Create(&m); }\n' > "$work/native/ext/native.c"
printf 'from setuptools import Extension, setup\nsetup(name="native", version="1", ext_modules=[Extension("native", ["native.c"])])\n' > "$work/native/ext/setup.py"
printf 'mkdir vendor && cd ext && printf "include native.c" > MANIFEST.in && python3 setup.py -q sdist -d ../vendor && cd .. && rm -rf ext\n' > "$work/native/prepare"
echo native > "$work/native/requirements.txt"
stage "$work/native" --buildpack python=python_buildpack
check 'a package with C code compiles' equals "$code" 0
launch 'python -c "import native; print(native.__name__, \"works\")"'
finish
check 'and is loaded' contains "$log" 'native works'
