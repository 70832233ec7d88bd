# shellcheck shell=bash
# Installing gems. Uses gemfile, BUILD, CACHE, DEP, IDX of supply.
# shellcheck disable=SC2154

# Warns or fails when the Gemfile asks for another Ruby than the stack's.
check_ruby() {
  local have asked=''
  have=$(ruby --disable=gems -e 'print RUBY_VERSION')
  step "Using Ruby $have, bundler $(bundle --version | grep -oE '[0-9.]+' | head -n 1)"
  [[ ! -f $gemfile.lock ]] || asked=$(sed -n '/^RUBY VERSION$/{n;s/^ *ruby \([0-9.]*[0-9]\).*/\1/p;}' "$gemfile.lock")
  [[ -n $asked || ! -f $gemfile ]] || asked=$(sed -nE "s/^ruby[[:space:](]+['\"][~>= ]*([0-9.]+)['\"].*/\1/p" "$gemfile" | head -n 1)
  [[ -n $asked && $asked != "$have" && $have != "$asked".* ]] || return 0
  [[ ${asked%%.*} == "${have%%.*}" ]] ||
    fail "the Gemfile asks for Ruby $asked; this stack has Ruby $have only" 'Change it, or push with a custom buildpack that brings its own Ruby.'
  warn "the Gemfile asks for Ruby $asked: the app will run on Ruby $have"
  # Bundler would reject a difference that rarely matters.
  sed -i -E '/^ruby[[:space:](]/d' "$gemfile"
  sed -i '/^RUBY VERSION$/,/^$/d' "$gemfile.lock"
}

# Gems of the stack are enough for an app that needs no others: then there is nothing to install.
stack_has_all() {
  BUNDLE_PATH__SYSTEM=true bundle install --local --quiet > /dev/null 2>&1
}

install_gems() {
  local arguments=(--jobs 2 --retry 1)
  step 'Installing dependencies using bundler'
  cd "$BUILD" || exit
  # Bundler's settings belong to the droplet, not to the app's folder, which may bring its own.
  export BUNDLE_GEMFILE=$gemfile BUNDLE_WITHOUT=${BUNDLE_WITHOUT:-development:test} BUNDLE_APP_CONFIG=$DEP/bundle_config
  export BUNDLE_SILENCE_ROOT_WARNING=true BUNDLE_DISABLE_VERSION_CHECK=true BUNDLE_USER_CACHE=$CACHE/bundle BUNDLE_FROZEN=true
  mkdir -p "$BUNDLE_APP_CONFIG"
  # A lock file of another bundler version must not download that one.
  sed -i '/^BUNDLED WITH$/,$d' "$gemfile.lock"
  if [[ ! -d vendor/cache ]] && stack_has_all; then
    note "all gems are in the stack: $(gem_list)"
    return
  fi
  bundle_path=$DEP/vendor_bundle
  export BUNDLE_PATH=$bundle_path
  if [[ -d $CACHE/vendor_bundle && ! -d vendor/cache ]]; then
    cp -r "$CACHE/vendor_bundle" "$bundle_path"
  fi
  if [[ -d vendor/cache ]]; then
    note 'installing from vendor/cache, without a gem server'
    arguments+=(--local)
  fi
  if ! bundle install "${arguments[@]}" 2>&1 | indent; then
    [[ ! -d vendor/cache ]] && take_stack_gems && return
    fail 'Failed to install gems via bundler' \
      "Above bundler names what is missing. Without a network, run 'bundle package --all' and push vendor/cache along."
  fi
  bundle clean > /dev/null 2>&1 || true
  rm -rf "$CACHE/vendor_bundle" "$bundle_path"/ruby/*/cache
  if [[ ! -d vendor/cache ]]; then
    cp -r "$bundle_path" "$CACHE/vendor_bundle"
  fi
}

# Without a gem server, gems of the stack will do when the Gemfile allows their versions, even if the lock has others.
take_stack_gems() {
  local lock
  lock=$(<"$gemfile.lock")
  unset BUNDLE_PATH bundle_path
  rm -rf "$DEP/vendor_bundle" "$gemfile.lock"
  if BUNDLE_FROZEN=false stack_has_all; then
    warn "no gem server is reachable: using the stack's versions instead of Gemfile.lock's: $(gem_list)"
  else
    printf '%s\n' "$lock" > "$gemfile.lock"
    return 1
  fi
}

gem_list() { bundle list 2> /dev/null | sed -n 's/^ *\* //p' | paste -sd, | sed 's/,/, /g'; }

# During staging the next buildpacks and finalize, at run time the app, find the gems through bundler's own variables.
write_environment() {
  local name
  for name in BUNDLE_GEMFILE BUNDLE_WITHOUT BUNDLE_APP_CONFIG BUNDLE_PATH; do
    [[ -z ${!name:-} ]] || printf '%s' "${!name}" > "$DEP/env/$name"
  done
  {
    echo 'export RAILS_ENV=${RAILS_ENV:-production} RACK_ENV=${RACK_ENV:-production} RAILS_SERVE_STATIC_FILES=${RAILS_SERVE_STATIC_FILES:-enabled}'
    echo 'export RAILS_LOG_TO_STDOUT=${RAILS_LOG_TO_STDOUT:-enabled} MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-2}'
    if [[ -f $gemfile ]]; then
      printf 'export BUNDLE_GEMFILE=$HOME/%s BUNDLE_WITHOUT=%s BUNDLE_APP_CONFIG=$DEPS_DIR/%s/bundle_config\n' "${gemfile#"$BUILD"/}" "$BUNDLE_WITHOUT" "$IDX"
      printf 'export BUNDLE_FROZEN=true BUNDLE_DISABLE_VERSION_CHECK=true\n'
      [[ -z ${bundle_path:-} ]] || printf 'export BUNDLE_PATH=$DEPS_DIR/%s/vendor_bundle\n' "$IDX"
    fi
  } > "$DEP/profile.d/ruby.sh"
}
