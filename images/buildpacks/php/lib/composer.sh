# shellcheck shell=bash
# Packages of the app. Uses BUILD, CACHE, DEP of finalize and the variables of app.sh.
# shellcheck disable=SC2154

# With the app's own extensions and, for composer itself, two more. Paths of the droplet do not exist yet.
run_composer() {
  COMPOSER_HOME=$CACHE/composer COMPOSER_CACHE_DIR=$CACHE/composer/cache COMPOSER_VENDOR_DIR=$BUILD/$vendor_dir COMPOSER_BIN_DIR=$BUILD/php/bin \
    COMPOSER_ALLOW_SUPERUSER=1 COMPOSER_NO_INTERACTION=1 TMPDIR=${TMPDIR:-/tmp} \
    php "${composer_flags[@]}" "$(command -v composer)" "$@"
}

# The first complaint in composer's output: a problem of the dependencies, else an error. usage: composer_cause LOG
composer_cause() {
  awk 'problem && /^ *- / && !/is locked to version/ {sub(/^ *- /, ""); print; exit}
    /^ *Problem 1/ {problem = 1}
    error && NF {sub(/^ +/, ""); sub(/ +$/, ""); print; exit}
    /^In .* line [0-9]+:$/ || /^ +\[[A-Za-z\\]+\] *$/ {error = 1}' "$1"
}

install_packages() {
  local log status=0 cause
  move_composer_files
  if [[ -f $BUILD/$vendor_dir/autoload.php ]] && { [[ ! -f composer.lock ]] || ! command -v composer > /dev/null; }; then
    note "$vendor_dir is used as it was pushed"
    link_vendor
    return
  fi
  need_command composer composer
  [[ -f composer.lock ]] ||
    step 'PROTIP: Include a `composer.lock` file with your application! This will make sure the exact same version of dependencies are used when you deploy to CloudFoundry.'
  composer_flags=(-d "extension_dir=$(php -n -r 'echo PHP_EXTENSION_DIR;')" -d memory_limit=-1)
  php -d "extension_dir=$(php -n -r 'echo PHP_EXTENSION_DIR;')" -m | grep -ix mbstring > /dev/null || composer_flags+=(-d extension=mbstring.so)
  step "Installing composer $(run_composer --version 2> /dev/null | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1)"
  if [[ -n ${COMPOSER_GITHUB_OAUTH_TOKEN:-} ]]; then
    step 'Using custom GitHub OAuth token in $COMPOSER_GITHUB_OAUTH_TOKEN'
    run_composer config --global github-oauth.github.com "$COMPOSER_GITHUB_OAUTH_TOKEN" > /dev/null 2>&1 || warn 'the token was not accepted by composer'
  fi
  if ((${#install_global[@]} > 0)); then
    step 'Installing global Composer dependencies'
    run_composer global require --no-progress "${install_global[@]}" 2>&1 | indent || fail 'composer global require failed'
  fi
  step 'Installing Composer dependencies'
  log=$(mktemp)
  run_composer install --no-progress "${install_options[@]}" 2>&1 | tee "$log" | sed -u '/^install \[--/d' | indent || status=$?
  if ((status != 0)); then
    step 'Composer command failed'
    cause=$(composer_cause "$log")
    [[ -f $BUILD/$vendor_dir/autoload.php ]] || fail "composer install failed: ${cause:-$(tail -n 1 "$log")}"
    warn "composer install failed (${cause:-see above}): $vendor_dir is used as it was pushed"
  fi
  rm -f "$log"
  # A token is no part of the cache.
  rm -f "$CACHE/composer/auth.json"
  link_vendor
}

# Composer works in the app's folder.
move_composer_files() {
  local file
  cd "$BUILD" || exit
  for file in "$composer_json" "$composer_lock" "$composer_auth"; do
    [[ -z $file || $file != */* ]] || mv "$file" "${file##*/}"
  done
  # Packages that were pushed below the web folder.
  if [[ -d $webdir/vendor && ! -L $webdir/vendor && $vendor_dir != "$webdir"/* ]]; then
    step "Moving existing vendor directory to $vendor_dir"
    mkdir -p "$(dirname "$vendor_dir")"
    [[ ! -d $vendor_dir ]] || fail "the app has both $webdir/vendor and $vendor_dir"
    mv "$webdir/vendor" "$vendor_dir"
  fi
}

# Code below the web folder finds its packages where they are without the buildpack, and in the usual place.
link_vendor() {
  [[ -d $vendor_dir ]] || return 0
  if [[ -d $webdir && ! -e $webdir/vendor && $vendor_dir != "$webdir"/* ]]; then
    ln -s "$(realpath --relative-to="$webdir" "$vendor_dir")" "$webdir/vendor"
  fi
  if [[ ! -e $libdir/vendor && $vendor_dir != "$libdir"/* ]]; then
    mkdir -p "$libdir"
    ln -s "$(realpath --relative-to="$libdir" "$vendor_dir")" "$libdir/vendor"
  fi
}
