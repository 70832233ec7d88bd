# shellcheck shell=bash
# Installing with pip. Uses BUILD, CACHE, DEP, IDX of supply, and vendored.
# shellcheck disable=SC2034,SC2154  # causes.sh reads vendored

# Packages of the stack's Python are installed for the "user"; a fetched Python is the app's alone.
set_pip_environment() {
  export PIP_BREAK_SYSTEM_PACKAGES=1 PIP_CACHE_DIR=$CACHE/pip PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
  # Without a network pip must fail within seconds.
  export PIP_RETRIES=${PIP_RETRIES:-2} PIP_DEFAULT_TIMEOUT=${PIP_DEFAULT_TIMEOUT:-15} PIP_CERT=${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}
  user=()
  if ! $python_fetched; then
    export PYTHONUSERBASE=$DEP/python
    user=(--user)
    printf '%s' "$PYTHONUSERBASE" > "$DEP/env/PYTHONUSERBASE"
  fi
  mkdir -p "$DEP/python/bin"
}

# False when it fails; then pip_cause tells why. usage: pip_install ARGUMENT…
pip_install() {
  cd "$BUILD" || exit
  run_tool python3 -m pip install "${user[@]}" --ignore-installed --exists-action=w --progress-bar off --no-warn-script-location --src "$DEP/src" "$@"
}

choose_pip() {
  case ${BP_PIP_VERSION:-} in
    '') note "Using python's pip module" ;;
    latest)
      note 'Installing pip'
      if [[ -d $BUILD/vendor ]] && compgen -G "$BUILD/vendor/pip-*.whl" > /dev/null; then
        pip_install --no-index --find-links "$BUILD/vendor" pip || fail "pip cannot be updated: $(pip_cause)"
      else
        pip_install --upgrade pip || fail "BP_PIP_VERSION is latest, and pip cannot be updated: $(pip_cause)"
      fi
      ;;
    *) fail "invalid pip version: BP_PIP_VERSION is '$BP_PIP_VERSION'; it can be latest" ;;
  esac
}

# Packages in vendor/ are all that may be used: neither the requirements' own index lines nor the network.
# usage: install_vendored FILE [ARGUMENT…]
install_vendored() {
  local file=$1 offline vendored=true tools=''
  shift
  step 'Running Pip Install (Vendored)'
  note 'Using the pip --no-build-isolation flag since it is available'
  offline=$(mktemp "$BUILD/.requirementsXXXXXXXX")
  sed -E '/^[[:space:]]*(-i|-f|--index-url|--extra-index-url|--find-links|--trusted-host|--no-index)([[:space:]=]|$)/d' "$file" > "$offline"
  prepare_build_tools
  # shellcheck disable=SC2030,SC2031
  if ! PYTHONPATH=$tools${tools:+${PYTHONPATH:+:}}${PYTHONPATH:-} pip_install --requirement "$offline" --no-index --find-links "$BUILD/vendor" --no-build-isolation "$@"; then
    rm -f "$offline"
    note 'Running pip install failed. You need to include all dependencies in the vendor directory.'
    fail "Could not install the requirements: $(pip_cause)"
  fi
  rm -f "$offline"
}

# Source archives need tools to be built with, which `pip download` does not vendor. Sets tools, a folder with them, if any are missing.
prepare_build_tools() {
  local missing
  compgen -G "$BUILD/vendor/*.tar.*" > /dev/null || compgen -G "$BUILD/vendor/*.tgz" > /dev/null || compgen -G "$BUILD/vendor/*.zip" > /dev/null || return 0
  mapfile -t missing < <(python3 "$BUILDPACK_DIR/lib/build_requires.py" "$BUILD/vendor" | sed '/^$/d')
  ((${#missing[@]})) || return 0
  tools=$(mktemp -d)
  note "Installing build-time dependencies: ${missing[*]}"
  python3 -m pip install -q --target "$tools" --no-index --find-links "$BUILD/vendor" --find-links "$CACHE/build-tools" "${missing[@]}" > /dev/null 2>&1 && return
  mkdir -p "$CACHE/build-tools"
  if ! python3 -m pip download -q --retries 0 --only-binary :all: --dest "$CACHE/build-tools" "${missing[@]}" > "$tools.log" 2>&1 ||
    ! python3 -m pip install -q --target "$tools" --no-index --find-links "$CACHE/build-tools" "${missing[@]}" > "$tools.log" 2>&1; then
    warn "build-time dependencies of source archives in vendor/ cannot be had: ${missing[*]}"
  fi
}

# usage: install_file FILE [PIP_ARGUMENT…]
install_file() {
  if [[ -d $BUILD/vendor ]]; then
    install_vendored "$@"
  else
    step 'Running Pip Install (Unvendored)'
    pip_install --requirement "$@" || fail "Could not install the requirements: $(pip_cause)" \
      "$(! tool_was_offline || echo 'To stage without a network, put the packages beside the app: pip download -d vendor -r requirements.txt')"
  fi
}

# nltk.txt names corpora, one a line.
install_corpora() {
  [[ -f $BUILD/nltk.txt ]] || return 0
  local corpora
  mapfile -t corpora < <(tr -s '[:space:]' '\n' < "$BUILD/nltk.txt" | sed '/^$/d')
  step "Downloading NLTK packages: ${corpora[*]}"
  if ! run_tool python3 -m nltk.downloader -d "$DEP/python/nltk_data" "${corpora[@]}" < /dev/null || tool_said 'Error loading'; then
    fail "nltk.txt:1: the NLTK packages cannot be downloaded: $(sed -n '/Error loading/{s/.*Error loading/error loading/;N;s/\n\[nltk_data\] */ /;p;q}' "$tool_log")"
  fi
  printf 'export NLTK_DATA=$DEPS_DIR/%s/python/nltk_data\n' "$IDX" > "$DEP/profile.d/nltk.sh"
  printf '%s' "$DEP/python/nltk_data" > "$DEP/env/NLTK_DATA"
}
