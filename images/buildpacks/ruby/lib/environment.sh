# shellcheck shell=bash
# What the app and the next buildpacks find in their environment. Uses gemfile, bundle_path, BUILD, DEP, IDX of supply.
# shellcheck disable=SC2154

write_environment() {
  local name folder
  export RAILS_ENV=${RAILS_ENV:-production} RACK_ENV=${RACK_ENV:-production} RAILS_GROUPS=${RAILS_GROUPS:-assets}
  for name in RAILS_ENV RACK_ENV RAILS_GROUPS BUNDLE_GEMFILE BUNDLE_WITHOUT BUNDLE_APP_CONFIG BUNDLE_PATH; do
    [[ -z ${!name:-} ]] || printf '%s' "${!name}" > "$DEP/env/$name"
  done
  {
    echo 'export LANG=${LANG:-en_US.UTF-8} MALLOC_ARENA_MAX=${MALLOC_ARENA_MAX:-2}'
    echo 'export RAILS_ENV=${RAILS_ENV:-production} RACK_ENV=${RACK_ENV:-production} RAILS_SERVE_STATIC_FILES=${RAILS_SERVE_STATIC_FILES:-enabled}'
    echo 'export RAILS_LOG_TO_STDOUT=${RAILS_LOG_TO_STDOUT:-enabled}'
    if [[ -f $gemfile ]]; then
      printf 'export BUNDLE_GEMFILE=$HOME/%s BUNDLE_WITHOUT=%s BUNDLE_APP_CONFIG=$DEPS_DIR/%s/bundle_config\n' "${gemfile#"$BUILD"/}" "$BUNDLE_WITHOUT" "$IDX"
      printf 'export BUNDLE_FROZEN=true BUNDLE_DISABLE_VERSION_CHECK=true\n'
    fi
    if [[ -n ${bundle_path:-} ]]; then
      printf 'export BUNDLE_PATH=$DEPS_DIR/%s/vendor_bundle BUNDLE_BIN=$DEPS_DIR/%s/binstubs\n' "$IDX" "$IDX"
      # `ruby app.rb` finds the gems, too. The stack's own gems are left out: of two versions Ruby takes the newer one, not the lock's.
      folder=$(cd "$bundle_path" && compgen -G 'ruby/*' | head -n 1) || true
      printf 'export GEM_HOME=${GEM_HOME:-$DEPS_DIR/%s/gem_home} GEM_PATH=${GEM_PATH:-$DEPS_DIR/%s/vendor_bundle/%s:$DEPS_DIR/%s/gem_home}\n' "$IDX" "$IDX" "$folder" "$IDX"
    fi
    [[ ! -d $BUILD/ld_library_path ]] || echo 'export LD_LIBRARY_PATH="$HOME/ld_library_path${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"'
    write_secret
  } > "$DEP/profile.d/ruby.sh"
  [[ ! -d $BUILD/ld_library_path ]] || printf '%s' "$BUILD/ld_library_path${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" > "$DEP/env/LD_LIBRARY_PATH"
}

# Sessions must outlive a restart and be the same in every instance and after the next staging, so the key is generated once.
write_secret() {
  grep -qE '^    railties \(' "$gemfile.lock" 2> /dev/null || return 0
  [[ -s $CACHE/secret_key_base ]] || openssl rand -hex 64 > "$CACHE/secret_key_base"
  printf 'export SECRET_KEY_BASE=${SECRET_KEY_BASE:-%s}\n' "$(<"$CACHE/secret_key_base")"
}
