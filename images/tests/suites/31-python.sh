# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here
python=(--buildpack python=python_buildpack)

# What a droplet must not hold: the paths of staging, in text files and links. usage: staging_paths
staging_paths() {
  rm -rf "$work/droplet" && mkdir "$work/droplet" && tar -C "$work/droplet" -xf "$work/droplet.tar"
  grep -rIlE '/tmp/(contents|app)($|[^A-Za-z0-9_.-])' "$work/droplet"
  find "$work/droplet" -type l \( -lname '/tmp/app*' -o -lname '/tmp/contents*' \)
}

# The line that tells why staging failed. usage: cause
cause() { grep -F '**ERROR**' <<< "$log" | tail -n 1; }

feature python 'packages in vendor/ are installed without a network'
stage "$fixtures/python-vendored" --buildpack staticfile=staticfile_buildpack "${python[@]}"
check 'a Python app with vendored packages stages without a network' equals "$code" 0
check 'its metadata names python' equals "$(result_of .lifecycle_metadata.detected_buildpack)" python
check 'no path of staging is kept in the droplet' equals "$(staging_paths)" ''
launch ''
check 'its console script and its modules are found; VCAP_APPLICATION is completed' equals "$(answer /)" \
  'vendored other 1 {"name":"fixture","host":"0.0.0.0","instance_id":"instance-1","instance_index":0,"port":8080}'
stop

feature python 'what cannot be installed is named in one line, with the cause'
stage "$fixtures/python-missing" "${python[@]}"
check 'a requirement that can not be had fails the staging' equals "$code" 223
check 'without a network, that is the cause' contains "$(cause)" 'Could not install the requirements: the package index https://pypi.org/simple cannot be reached to download no-such-package-here==1.0'
cp -r "$fixtures/python-vendored" "$work/python-incomplete"
echo 'absent==2' >> "$work/python-incomplete/requirements.txt"
stage "$work/python-incomplete" "${python[@]}"
check 'what vendor/ lacks is named' contains "$(cause)" 'Could not install the requirements: vendor/ has no absent==2'
sed -i '$d' "$work/python-incomplete/requirements.txt"
echo 'mv vendor/other-1.2-py3-none-any.whl vendor/other-1.2-cp39-cp39-manylinux2014_x86_64.whl' >> "$work/python-incomplete/prepare"
stage "$work/python-incomplete" "${python[@]}"
check 'and a wheel for another Python, too' contains "$(cause)" 'vendor/ has other-1.2-cp39-cp39-manylinux2014_x86_64.whl for other, which is not for Python 3.11.'

feature python 'bin/pre_compile and bin/post_compile run'
feature python 'editable installs, from git and from the app, work at run time'
mkdir -p "$work/python-editable/bin" "$work/python-editable/own/src/own" "$work/python-editable/lib"
cat > "$work/python-editable/prepare" << 'PREPARE'
set -e
mv lib /tmp/repository && cd /tmp/repository
git init -q -b main . && git config user.email a@b.c && git config user.name n && git add . && git commit -qm first
PREPARE
printf 'from setuptools import setup\nsetup(name="lib", version="1", py_modules=["lib"])\n' > "$work/python-editable/lib/setup.py"
echo 'NAME = "of git"' > "$work/python-editable/lib/lib.py"
printf 'from setuptools import setup\nsetup(name="own", version="1", packages=["own"], package_dir={"": "src"})\n' > "$work/python-editable/own/setup.py"
echo 'NAME = "of the app"' > "$work/python-editable/own/src/own/__init__.py"
printf -- '-e git+file:///tmp/repository@main#egg=lib\n-e ./own\n' > "$work/python-editable/requirements.txt"
printf 'echo "before in $PWD"\n' > "$work/python-editable/bin/pre_compile"
printf '#!/usr/bin/env bash\necho "after with [[ $0 == *post* ]]"\npython -c "import lib; print(lib.NAME)"\n' > "$work/python-editable/bin/post_compile"
# The backend that builds editable installs is the stack's.
stage --env PIP_NO_BUILD_ISOLATION=0 "$work/python-editable" "${python[@]}"
check 'an app with editable requirements stages' equals "$code" 0
check 'bin/pre_compile runs with sh in the app' contains "$log" 'before in /tmp/app'
check 'bin/post_compile runs with its own interpreter, after the install' contains "$log" $'after with [[ '
check 'and finds what was installed' contains "$log" '       of git'
check 'no path of staging is kept' equals "$(staging_paths)" ''
launch 'python -c "import lib, own; print(lib.NAME, own.NAME, lib.__file__)"'
finish
check 'editable modules are found at run time' contains "$log" 'of git of the app /home/vcap/deps/0/src/lib/lib.py'
printf 'exit 3\n' > "$work/python-editable/bin/pre_compile"
stage "$work/python-editable" "${python[@]}"
check 'a hook that fails is named' contains "$(cause)" "the app's bin/pre_compile failed: exit status 3"

feature python 'the version is that of runtime.txt, .python-version, Pipfile, Pipfile.lock or pyproject.toml, or the staging fails'
mkdir -p "$work/python-version"
touch "$work/python-version/requirements.txt"
# usage: ask_for FILE TEXT
ask_for() {
  rm -rf "$work/python-version" && mkdir -p "$work/python-version"
  [[ $1 == pyproject.toml || $1 == Pipfile* ]] || touch "$work/python-version/requirements.txt"
  [[ $1 != Pipfile.lock ]] || touch "$work/python-version/Pipfile"
  printf '%s\n' "$2" > "$work/python-version/$1"
  stage "$work/python-version" "${python[@]}"
}
can_be_had='no match found; there are 3.11.2, 3.12.1, 3.13.5, 3.14.3'
ask_for runtime.txt python-2.7.18
check 'runtime.txt with a version that can not be had' contains "$(cause)" "runtime.txt:1 asks for Python 2.7.18: $can_be_had"
check 'fails the staging' equals "$code" 223
ask_for runtime.txt python-3.11.x
check 'a version of the stack is taken without a network' contains "$log" 'Installing python 3.11.'
ask_for runtime.txt python-latest
check 'a word is no version' contains "$(cause)" "runtime.txt:1 asks for 'python-latest', which is not a version of Python"
ask_for .python-version $'# of pyenv\n3.9.1'
check '.python-version' contains "$(cause)" ".python-version:2 asks for Python 3.9.1: $can_be_had"
ask_for .python-version 3.11.9
check 'of which another patch version is a warning' contains "$log" '.python-version:1 asks for Python 3.11.9: the app will run on Python 3.11.'
ask_for Pipfile.lock $'{"_meta":\n {"requires": {"python_version": "3.9"}}, "default": {}}'
check 'Pipfile.lock' contains "$(cause)" "Pipfile.lock:2 asks for Python 3.9: $can_be_had"
ask_for Pipfile $'[packages]\n[requires]\npython_version = "3.9"'
check 'Pipfile' contains "$(cause)" "Pipfile:3 asks for Python 3.9: $can_be_had"
ask_for pyproject.toml $'[project]\nname = "a"\nversion = "1"\nrequires-python = ">=3.8,<3.11"'
check 'pyproject.toml' contains "$(cause)" "pyproject.toml:4 asks for Python >=3.8,<3.11: $can_be_had"
ask_for pyproject.toml $'[tool.poetry.dependencies]\npython = "^3.15"'
check 'the range of poetry' contains "$(cause)" "pyproject.toml:2 asks for Python ^3.15: $can_be_had"
ask_for runtime.txt python-3.13.x
check 'a version that cannot be fetched now fails with the cause' contains "$(cause)" 'Python 3.13.5 cannot be fetched: Could not resolve host'

feature python 'Pipfile.lock, Pipfile, pyproject.toml, poetry.lock and uv.lock say what to install'
# usage: vendored_app NAME; makes an app with the packages greeting 1.2 and other 1.2 in vendor/
vendored_app() {
  rm -rf "${work:?}/$1" && cp -r "$fixtures/python-vendored" "$work/$1"
  rm "$work/$1/requirements.txt" "$work/$1/runtime.txt"
}
vendored_app pipfile
touch "$work/pipfile/Pipfile"
cat > "$work/pipfile/Pipfile.lock" << 'LOCK'
{"_meta": {"sources": [{"url": "http://nowhere.invalid/simple"}], "requires": {"python_version": "3.11"}},
 "default": {"greeting": {"version": "==1.2"}, "other": {"version": "==1.2", "markers": "python_version >= '3'"}, "windows": {"version": "==1", "markers": "sys_platform == 'win32'"}}}
LOCK
stage "$work/pipfile" "${python[@]}"
check 'a Pipfile.lock is enough to install from' contains "$log" 'Successfully installed greeting-1.2 other-1.2'
check 'and leaves no file behind' lacks "$(tar -tf "$work/droplet.tar")" home/vcap/app/.requirements
rm "$work/pipfile/Pipfile.lock"
printf '[packages]\ngreeting = "*"\nother = {version = ">=1", sys_platform = "== '"'linux'"'"}\n' > "$work/pipfile/Pipfile"
stage "$work/pipfile" "${python[@]}"
check 'as is a Pipfile with vendored packages' contains "$log" 'Successfully installed greeting-1.2 other-1.2'
vendored_app project
printf '[project]\nname = "app"\nversion = "1"\ndependencies = ["greeting", "other>1"]\n' > "$work/project/pyproject.toml"
stage "$work/project" "${python[@]}"
check 'the dependencies of pyproject.toml are installed' contains "$log" 'Successfully installed greeting-1.2 other-1.2'
cat > "$work/project/uv.lock" << 'LOCK'
version = 1
[[package]]
name = "app"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "greeting" }, { name = "windows", marker = "sys_platform == 'win32'" }]
[package.dev-dependencies]
dev = [{ name = "tests" }]
[[package]]
name = "greeting"
version = "1.2"
source = { registry = "https://pypi.org/simple" }
dependencies = [{ name = "other" }]
[[package]]
name = "other"
version = "1.2"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "tests"
version = "1"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "windows"
version = "1"
source = { registry = "https://pypi.org/simple" }
LOCK
stage "$work/project" "${python[@]}"
check 'uv.lock pins them, without those for development and other systems' contains "$log" 'Successfully installed greeting-1.2 other-1.2'
rm "$work/project/uv.lock"
printf '[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\npython = "^3.8"\ngreeting = "^1.0"\n[tool.poetry.group.dev.dependencies]\ntests = "*"\n' > "$work/project/pyproject.toml"
cat > "$work/project/poetry.lock" << 'LOCK'
[[package]]
name = "greeting"
version = "1.2"
[package.dependencies]
Other = {version = ">=1.0", markers = "python_version > '3'"}
windows = {version = "*", markers = "sys_platform == 'win32'"}
extra = {version = "*", optional = true}
[[package]]
name = "other"
version = "1.2"
[[package]]
name = "tests"
version = "1"
LOCK
stage "$work/project" "${python[@]}"
check 'so does poetry.lock' contains "$log" 'Successfully installed greeting-1.2 other-1.2'
rm "$work/project/poetry.lock"
stage "$work/project" "${python[@]}"
check "poetry's dependencies are enough" contains "$log" 'Successfully installed greeting-1.2'
printf '[project\n' > "$work/project/pyproject.toml"
stage "$work/project" "${python[@]}"
check 'a broken file is named' contains "$(cause)" 'pyproject.toml is not valid TOML'

feature python 'environment.yml is refused by name: there is no conda'
rm -rf "$work/conda" && mkdir -p "$work/conda"
echo 'name: app' > "$work/conda/environment.yml"
stage "$work/conda" "${python[@]}"
check 'environment.yml is refused' contains "$(cause)" 'environment.yml:1 needs conda'

feature python "Django's static files are collected, unless DISABLE_COLLECTSTATIC is set"
mkdir -p "$work/django/django/core" "$work/django/vendor"
printf 'import sys\nprint("Copying a file")\nprint("collected", sys.argv[1:])\n' > "$work/django/manage.py"
touch "$work/django/requirements.txt" "$work/django/django/__init__.py"
stage --env "PYTHONPATH=/tmp/app" "$work/django" "${python[@]}"
check "Django's static files are collected" contains "$log" "collected ['collectstatic', '--noinput', '--traceback']"
check 'without a line for each file' lacks "$log" 'Copying a file'
stage --env "PYTHONPATH=/tmp/app" --env DISABLE_COLLECTSTATIC=1 "$work/django" "${python[@]}"
check 'unless that is disabled' contains "$log" 'DISABLE_COLLECTSTATIC is set'
echo 'raise SystemExit("no such setting")' > "$work/django/manage.py"
stage --env "PYTHONPATH=/tmp/app" "$work/django" "${python[@]}"
check 'a failure is told with its cause' contains "$(cause)" 'Error while running python manage.py collectstatic: no such setting'
stage --env BP_PIP_VERSION=9 "$work/django" "${python[@]}"
check 'BP_PIP_VERSION has one value' contains "$(cause)" "invalid pip version: BP_PIP_VERSION is '9'"

feature python 'packages with C code compile'
# Compilers and headers of the build image.
mkdir -p "$work/native/ext"
printf '#include <Python.h>\nstatic struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "native", 0, -1, 0};\nPyMODINIT_FUNC PyInit_native(void) { return PyModule_Create(&m); }\n' > "$work/native/ext/native.c"
printf 'from setuptools import Extension, setup\nsetup(name="native", version="1", ext_modules=[Extension("native", ["native.c"])])\n' > "$work/native/ext/setup.py"
printf 'mkdir vendor && cd ext && printf "include native.c" > MANIFEST.in && python3 setup.py -q sdist -d ../vendor && cd .. && rm -rf ext\n' > "$work/native/prepare"
echo native > "$work/native/requirements.txt"
stage "$work/native" "${python[@]}"
check 'a package with C code compiles' equals "$code" 0
launch 'python -c "import native; print(native.__name__, \"works\")"'
finish
check 'and is loaded' contains "$log" 'native works'

feature python '3.12, 3.13 and 3.14 are fetched, with TLS, SQLite and C extensions; kept ones are used without a network'
feature python 'a Pipfile without a lock is locked'
if docker run --rm "${LABELS[@]}" --entrypoint curl "$IMAGES_BUILD" -sfIL --max-time 20 https://repo.maven.apache.org/maven2/ https://pypi.org/simple/pip/ > /dev/null 2>&1; then
  rm -rf "$work/python-fetched" && cp -r "$work/native" "$work/python-fetched"
  printf 'native\n' > "$work/python-fetched/requirements.txt"
  echo python-3.13.x > "$work/python-fetched/runtime.txt"
  stage --network bridge "$work/python-fetched" "${python[@]}"
  check 'a Python that the stack does not have is fetched' contains "$log" 'Downloaded python 3.13.5'
  check 'the build tools that vendor/ lacks are fetched, too' equals "$code" 0
  check 'no path of staging is kept' equals "$(staging_paths)" ''
  launch 'python -c "import native, platform, sqlite3, ssl, ctypes, lzma, readline; print(platform.python_version(), len(ssl.create_default_context().get_ca_certs()) > 50)"; pip --version'
  finish
  check 'it runs the app, with C code, and trusts the authorities of the stack' contains "$log" '3.13.5 True'
  check 'pip is its own' contains "$log" 'from /home/vcap/deps/0/python/lib/python3.13/site-packages/pip'
  cp "$work/output-cache.tar" "$work/python-cache.tar"
  stage --cache "$work/python-cache.tar" "$work/python-fetched" "${python[@]}"
  check 'the next staging needs no network' contains "$log" 'python 3.13.5: kept from an earlier staging'
  check 'and succeeds' equals "$code" 0

  rm -rf "$work/pipfile" && mkdir -p "$work/pipfile"
  printf '[[source]]\nurl = "https://pypi.org/simple"\nverify_ssl = true\nname = "pypi"\n[packages]\nitsdangerous = "*"\n' > "$work/pipfile/Pipfile"
  stage --network bridge "$work/pipfile" "${python[@]}"
  check 'a Pipfile without a lock is locked' contains "$log" "Generating 'requirements.txt' from Pipfile.lock"
  check 'and installed' contains "$log" 'Successfully installed itsdangerous-'
  launch 'python -c "import itsdangerous; print(\"locked\")"; python -m pipenv --version'
  finish
  check 'pipenv is not in the droplet' contains "$log" $'locked\n/usr/bin/python: No module named pipenv'
else
  skipped=$((skipped + 11))
  echo 'skip  no registry answers in a container: fetching a Python, locking a Pipfile'
fi
