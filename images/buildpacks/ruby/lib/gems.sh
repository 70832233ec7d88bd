# shellcheck shell=bash
# Installing gems. Uses gemfile, BUILD, CACHE, DEP, IDX of supply, and bundler and resolve of lock.sh.
# shellcheck disable=SC2154

# Bundler's settings belong to the droplet, not to the app's folder, which may bring its own.
set_bundle_environment() {
  export BUNDLE_GEMFILE=$gemfile BUNDLE_WITHOUT=${BUNDLE_WITHOUT:-development:test} BUNDLE_APP_CONFIG=$DEP/bundle_config
  export BUNDLE_SILENCE_ROOT_WARNING=true BUNDLE_DISABLE_VERSION_CHECK=true BUNDLE_USER_CACHE=$CACHE/bundle BUNDLE_FROZEN=true
  export NOKOGIRI_USE_SYSTEM_LIBRARIES=true
  mkdir -p "$BUNDLE_APP_CONFIG"
  [[ ! -f $BUILD/.bundle/config ]] || warn 'You have the `.bundle/config` file checked into your repository: its settings are not used'
  if [[ -d $BUILD/vendor/bundle ]]; then
    warn 'Removing `vendor/bundle`: checking it in is not supported. To vendor your gems, use `bundle package` instead'
    rm -rf "$BUILD/vendor/bundle"
  fi
}

# Gems of the stack are enough for an app that needs no others: then there is nothing to install.
stack_has_all() {
  BUNDLE_PATH__SYSTEM=true bundle install --local --quiet > /dev/null 2>&1
}

install_gems() {
  local arguments=(--jobs 2 --retry 1)
  step "Installing dependencies using bundler $bundler"
  cd "$BUILD" || exit
  ! $resolve || export BUNDLE_FROZEN=false
  if [[ ! -d vendor/cache ]] && stack_has_all; then
    export BUNDLE_FROZEN=true
    note "all gems are in the stack: $(gem_list)"
    return
  fi
  bundle_path=$DEP/vendor_bundle
  # Bundler writes the gems' commands while it installs them.
  export BUNDLE_PATH=$bundle_path BUNDLE_BIN=$DEP/binstubs
  if [[ -d $CACHE/vendor_bundle && ! -d vendor/cache ]]; then
    cp -r "$CACHE/vendor_bundle" "$bundle_path"
  fi
  if [[ -d vendor/cache ]]; then
    note 'installing from vendor/cache, without a gem server'
    arguments+=(--local)
  fi
  note "Running: bundle install ${arguments[*]}"
  if ! run_tool bundle install "${arguments[@]}"; then
    retry_unfrozen "${arguments[@]}" || { [[ ! -d vendor/cache ]] && take_stack_gems && return; } ||
      fail "Failed to install gems via bundler: $(bundle_cause)" \
        "$([[ -d vendor/cache ]] || ! tool_was_offline || echo "To stage without a network, run 'bundle package --all' and push vendor/cache along.")"
  fi
  export BUNDLE_FROZEN=true
  note 'Cleaning up the bundler cache.'
  bundle clean > /dev/null 2>&1 || true
  rm -rf "$CACHE/vendor_bundle" "$bundle_path"/ruby/*/cache
  if [[ ! -d vendor/cache ]]; then
    cp -r "$bundle_path" "$CACHE/vendor_bundle"
  fi
  link_commands
}

# A lock that is out of step with the Gemfile is resolved again. usage: retry_unfrozen ARGUMENT…
retry_unfrozen() {
  [[ $BUNDLE_FROZEN == true ]] && tool_said 'deployment mode|frozen|The dependencies in your gemfile changed|You have (added|deleted|changed) (to|from|in) the Gemfile|Your bundle only supports platforms' || return 1
  warn "${gemfile##*/}.lock is out of step with ${gemfile##*/}: other versions may be installed than the ones it has"
  BUNDLE_FROZEN=false run_tool bundle install "$@"
}

# Without a gem server, gems of the stack will do when the Gemfile allows their versions, even if the lock has others.
take_stack_gems() {
  local lock=''
  tool_was_offline || return 1
  [[ ! -f $gemfile.lock ]] || lock=$(<"$gemfile.lock")
  unset BUNDLE_PATH BUNDLE_BIN
  rm -rf "$DEP/vendor_bundle" "$gemfile.lock"
  if BUNDLE_FROZEN=false stack_has_all; then
    bundle_path=''
    export BUNDLE_FROZEN=true
    warn "no gem server is reachable: using the stack's versions instead of Gemfile.lock's: $(gem_list)"
  else
    printf '%s\n' "$lock" > "$gemfile.lock"
    return 1
  fi
}

gem_list() { bundle list 2> /dev/null | sed -n 's/^ *\* //p' | paste -sd, | sed 's/,/, /g'; }

# Commands of gems are found by name, with and without `bundle exec`, in the versions of the lock.
link_commands() {
  local file
  # bundler's own command would look for itself among the app's gems.
  rm -f "$DEP"/binstubs/bundle{,r}
  for file in "$DEP"/binstubs/*; do
    [[ ! -f $file ]] || ln -sf "../binstubs/${file##*/}" "$DEP/bin/${file##*/}"
  done
}
