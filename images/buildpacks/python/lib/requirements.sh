# shellcheck shell=bash
# Finding out what to install, and installing it. Uses BUILD, CACHE, DEP of supply.

# Warns or fails when the app asks for another Python than the stack's: another minor version usually runs, another major one never does.
check_version() {
  local have asked='' source=''
  have=$(python3 -c 'import platform; print(platform.python_version())')
  if [[ -f $BUILD/runtime.txt ]]; then
    source=runtime.txt asked=$(tr -d '[:space:]' < "$BUILD/runtime.txt")
  elif [[ -f $BUILD/Pipfile.lock ]]; then
    source=Pipfile.lock asked=$(jq -r '._meta.requires | .python_full_version // .python_version // ""' "$BUILD/Pipfile.lock" 2> /dev/null)
  fi
  asked=${asked#python-}
  step "Using Python $have"
  [[ -n $asked ]] || return 0
  [[ $asked =~ ^[0-9]+(\.([0-9]+|x))?(\.([0-9]+|x))?$ ]] || fail "$source asks for '$asked', which is not a version of Python"
  [[ ${asked%%.*} == "${have%%.*}" ]] ||
    fail "$source asks for Python $asked; this stack has Python $have only" 'Change it, or push with a custom buildpack that brings its own Python.'
  # shellcheck disable=SC2053  # the x of a version is made a pattern
  [[ $have == ${asked//x/*} || $have == "$asked".* ]] || warn "$source asks for Python $asked: the app will run on Python $have"
}

# Prints the requirements that a Pipfile.lock pins.
requirements_of_lock() {
  jq -r '.default // {} | to_entries[]
    | (.value.extras // [] | if length > 0 then "[" + join(",") + "]" else "" end) as $extras
    | (if .value.markers then "; " + .value.markers else "" end) as $markers
    | if .value.git then "git+\(.value.git)@\(.value.ref // "HEAD")#egg=\(.key)"
      elif .value.path then .value.path
      else "\(.key)\($extras)\(.value.version // "")\($markers)" end' "$BUILD/Pipfile.lock"
}

# usage: pip_install ARGUMENT…
pip_install() {
  (cd "$BUILD" && python3 -m pip install --user --ignore-installed --exists-action=w --progress-bar off --no-warn-script-location "$@" 2>&1 | indent) ||
    fail 'Could not install the requirements' \
      "Above pip names what is missing. Without a network, put the packages beside the app: pip download -d vendor -r requirements.txt"
}

# Packages in vendor/ are all that may be used: neither the requirements' own index lines nor the network.
install_vendored() {
  local file=$1 offline
  offline=$(mktemp "$BUILD/.requirementsXXXXXXXX")
  sed -E '/^[[:space:]]*(-i|-f|--index-url|--extra-index-url|--find-links|--trusted-host|--no-index)([[:space:]=]|$)/d' "$file" > "$offline"
  step 'Running pip install (vendored)'
  pip_install --requirement "$offline" --no-index --find-links "$BUILD/vendor" --no-build-isolation
  rm -f "$offline"
}

install_requirements() {
  local file=$BUILD/requirements.txt
  if [[ ! -f $file && -f $BUILD/Pipfile.lock ]]; then
    step 'Generating requirements.txt from Pipfile.lock'
    requirements_of_lock > "$file" || fail 'Pipfile.lock can not be read'
  elif [[ ! -f $file && -f $BUILD/Pipfile ]]; then
    fail 'a Pipfile without Pipfile.lock does not say which versions to install' 'Run pipenv lock and push Pipfile.lock along.'
  elif [[ ! -f $file && -f $BUILD/setup.py ]]; then
    echo '.' > "$file"
  fi
  [[ -f $file ]] || return 0
  if [[ ${BP_PIP_VERSION:-} == latest ]]; then
    step 'Installing the latest pip'
    pip_install pip
  fi
  if [[ -d $BUILD/vendor ]]; then
    install_vendored "$file"
  else
    step 'Running pip install'
    pip_install --requirement "$file"
  fi
  install_corpora
}

# nltk.txt names corpora, one a line.
install_corpora() {
  [[ -f $BUILD/nltk.txt ]] || return 0
  local corpora
  mapfile -t corpora < <(sed 's/[[:space:]]*$//; /^$/d' "$BUILD/nltk.txt")
  step "Downloading NLTK corpora: ${corpora[*]}"
  PYTHONUSERBASE=$DEP/python python3 -m nltk.downloader -d "$DEP/python/nltk_data" "${corpora[@]}" 2>&1 | indent ||
    fail 'Could not download the NLTK corpora'
  printf 'export NLTK_DATA=$DEPS_DIR/%s/python/nltk_data\n' "$IDX" > "$DEP/profile.d/nltk.sh"
}
