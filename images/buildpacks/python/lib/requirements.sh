# shellcheck shell=bash
# Finding out what to install. Uses BUILD, CACHE, DEP of supply and install_file of install.sh.
# shellcheck disable=SC2154

# Prints lines for pip out of another file. usage: requirements_of KIND FILE
requirements_of() {
  local complaint
  complaint=$(mktemp)
  python3 "$BUILDPACK_DIR/lib/requirements.py" "$1" "$BUILD" 2> "$complaint" || fail "$2 cannot be read: $(tail -n 1 "$complaint")"
}

# Installs what requirements.txt, else a Pipfile, else setup.py, else pyproject.toml names.
install_requirements() {
  local generated
  if [[ -f $BUILD/requirements.txt ]]; then
    install_file "$BUILD/requirements.txt"
    return
  fi
  generated=$(mktemp "$BUILD/.requirementsXXXXXXXX")
  if [[ -f $BUILD/Pipfile.lock || -f $BUILD/Pipfile ]]; then
    if [[ ! -f $BUILD/Pipfile.lock && ! -d $BUILD/vendor ]]; then lock_pipfile; fi
    if [[ -f $BUILD/Pipfile.lock ]]; then
      note "Generating 'requirements.txt' from Pipfile.lock"
      requirements_of pipfile-lock Pipfile.lock > "$generated"
    else
      note "Generating 'requirements.txt' from Pipfile"
      requirements_of pipfile Pipfile > "$generated"
    fi
    install_file "$generated"
  elif [[ -f $BUILD/setup.py ]]; then
    echo '-e .' > "$generated"
    install_file "$generated"
  elif [[ -f $BUILD/pyproject.toml ]]; then
    install_project "$generated"
  else
    note "Skipping 'pip install' since requirements.txt does not exist"
  fi
  rm -f "$generated"
}

# A project's dependencies as its lock file pins them, then the project itself, if it can be built.
install_project() {
  local generated=$1 pinned=()
  if [[ -f $BUILD/uv.lock ]]; then
    note "Generating 'requirements.txt' from uv.lock"
    requirements_of uv uv.lock > "$generated"
    pinned=(--no-deps)
  elif [[ -f $BUILD/poetry.lock ]]; then
    note "Generating 'requirements.txt' from poetry.lock"
    requirements_of poetry poetry.lock > "$generated"
    pinned=(--no-deps)
  else
    note "Generating 'requirements.txt' from pyproject.toml"
    requirements_of project pyproject.toml > "$generated"
  fi
  install_file "$generated" "${pinned[@]}"
  grep -q '^\[build-system\]' "$BUILD/pyproject.toml" || return 0
  ! grep -qE '^package(-mode)?[[:space:]]*=[[:space:]]*false' "$BUILD/pyproject.toml" || return 0
  echo '-e .' > "$generated"
  step 'Installing the project itself'
  local offline=()
  [[ ! -d $BUILD/vendor ]] || offline=(--no-index --find-links "$BUILD/vendor" --no-build-isolation)
  pip_install --no-deps --requirement "$generated" "${offline[@]}" || warn "the project itself cannot be installed ($(pip_cause)): its modules are found in its folder only"
}

# Pins what a Pipfile names, with pipenv, which is not a part of the droplet.
lock_pipfile() {
  local tools target=() search=''
  tools=$(mktemp -d)
  ! $python_fetched || { target=(--target "$tools") search=$tools; }
  note 'Installing pipenv'
  PYTHONUSERBASE=$tools run_tool python3 -m pip install "${user[@]}" "${target[@]}" -q pipenv ||
    fail "Pipfile has no Pipfile.lock, and pipenv cannot be installed to make one: $(pip_cause)" 'Run pipenv lock and push Pipfile.lock along.'
  note "Generating 'Pipfile.lock' with pipenv"
  cd "$BUILD" || exit
  PYTHONUSERBASE=$tools PYTHONPATH=$search WORKON_HOME=$tools/environments PIPENV_NOSPIN=1 PIPENV_YES=1 PIPENV_VENV_IN_PROJECT=0 \
    PIPENV_CACHE_DIR=$CACHE/pipenv PIPENV_PYPI_MIRROR=${PIPENV_PYPI_MIRROR:-${PIP_INDEX_URL:-}} NO_COLOR=1 \
    run_tool python3 -m pipenv lock --python "$(python3 -c 'import sys; print(sys.executable)')" ||
    fail "Pipfile cannot be locked: $(pip_cause)" 'Run pipenv lock and push Pipfile.lock along.'
  rm -rf "$tools"
}
