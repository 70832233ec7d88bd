# shellcheck shell=bash
# Installing the app's modules, in its folder. Uses package, CACHE, tool, berry.
# shellcheck disable=SC2034,SC2154  # run_tool reads tool_noise

# The user's own settings win. Without a network nothing may hang: no audits, no notices, few retries.
set_npm_environment() {
  local kept=$CACHE
  export NODE_ENV=${NODE_ENV:-production}
  [[ ${NODE_MODULES_CACHE:-true} == true ]] || { rm -rf "$CACHE"/{npm,yarn,berry,pnpm}; kept=$(mktemp -d); }
  export npm_config_cache=$kept/npm npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false npm_config_progress=false
  export npm_config_fetch_retries=${npm_config_fetch_retries:-1} npm_config_fetch_retry_mintimeout=1000 npm_config_fetch_retry_maxtimeout=3000
  export PNPM_HOME=$kept/pnpm
  export YARN_CACHE_FOLDER=$kept/yarn YARN_ENABLE_TELEMETRY=0 YARN_ENABLE_IMMUTABLE_INSTALLS=false
  export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
  [[ ! -d /usr/local/include/node ]] || export npm_config_nodedir=/usr/local
  production=false
  [[ ${NPM_CONFIG_PRODUCTION:-true} != true || $NODE_ENV != production ]] || production=true
  # Today's npm knows some settings of its tools by other names, and warns of them in each of its runs.
  tool_noise='Unknown (env|user|project) config|^Progress: resolved|^\++$|^[[:space:]]*$'
  unset NPM_CONFIG_PRODUCTION
}

# usage: run_script NAME; does nothing when package.json has no such script
run_script() {
  jq -e --arg name "$1" '.scripts[$name]?' "$package" > /dev/null || return 0
  note "Running $1 ($tool)"
  run_tool "$tool" run "$1" && return
  warn_about_modules
  fail "$(line_of "$package" "\"$1\"[[:space:]]*:"): the script $1 failed: $(grep -vE '^(npm |error |info |\$|> |$| ELIFECYCLE)' "$tool_log" | tail -n 1 | cut -c 1-200)"
}

# usage: missing_modules CAUSE
missing_modules() {
  warn_about_modules
  [[ $1 != *'cannot be reached' ]] || fail "Could not install the node modules: $1" 'To stage without a network, push node_modules along.'
  fail "Could not install the node modules: $1"
}

npm_install() {
  local omit=(--omit=dev) source=package.json lock=''
  $production || omit=(--include=dev)
  for file in package-lock.json npm-shrinkwrap.json; do
    [[ ! -f $file ]] || { lock=$file source+=" + $file"; }
  done
  if [[ -d node_modules ]]; then
    note 'Prebuild detected (node_modules already exists)'
    note 'Rebuilding any native modules'
    run_tool npm rebuild || missing_modules "$(npm_cause)"
    note "Installing any new modules ($source)"
    [[ -n $lock ]] || warn 'package-lock.json not found: modules in other versions than the vendored ones may be downloaded'
    run_tool npm install "${omit[@]}" --prefer-offline --no-save || missing_modules "$(npm_cause)"
    return
  fi
  note "Installing node modules ($source)"
  if [[ -n $lock ]]; then
    run_tool npm ci "${omit[@]}" && return
    tool_said 'code EUSAGE' || missing_modules "$(npm_cause)"
    warn "$lock is out of step with package.json: newer versions may be installed than the ones it has"
  fi
  run_tool npm install "${omit[@]}" --prefer-offline --no-package-lock || missing_modules "$(npm_cause)"
}

yarn_install() {
  local arguments=(--non-interactive --ignore-engines --check-files) mirror=npm-packages-offline-cache
  if $production; then arguments+=(--production=true); else arguments+=(--production=false); fi
  note 'Installing node modules (yarn.lock)'
  if [[ -d $mirror ]]; then
    note "Found yarn mirror directory $mirror"
    note 'Running yarn in offline mode'
    yarn config set yarn-offline-mirror "$PWD/$mirror" > /dev/null
    yarn config set yarn-offline-mirror-pruning false > /dev/null
    arguments+=(--offline)
  else
    note 'Running yarn in online mode'
  fi
  # Yarn asks the URLs in its lock file as they are: they lead to the package cache for this one run.
  if [[ -n ${CFLITE_PACKAGES:-} ]]; then
    cp -p yarn.lock "$CACHE/yarn.lock"
    sed -i -E "s,https://registry\.(yarnpkg\.com|npmjs\.org)/,$CFLITE_PACKAGES/npm/," yarn.lock
  fi
  if ! run_tool yarn install --frozen-lockfile "${arguments[@]}"; then
    tool_said 'lockfile needs to be updated' || missing_modules "$(yarn_cause)"
    warn 'yarn.lock is out of step with package.json: other versions may be installed than the ones it has'
    run_tool yarn install --pure-lockfile "${arguments[@]}" || missing_modules "$(yarn_cause)"
  fi
  [[ ! -e $CACHE/yarn.lock ]] || mv -f "$CACHE/yarn.lock" yarn.lock
  # The modules are installed: their archives need not be a part of the droplet.
  rm -rf "$mirror"
}

# Plug'n'Play loads modules out of the cache folder: then it belongs to the app.
berry_install() {
  local lock
  lock=$(mktemp)
  cp yarn.lock "$lock" 2> /dev/null || true
  note 'Installing node modules (yarn.lock)'
  export YARN_ENABLE_GLOBAL_CACHE=false
  if [[ -d .yarn/cache ]] || ! grep -qE '^nodeLinker:[[:space:]]*"?(node-modules|pnpm)"?' .yarnrc.yml 2> /dev/null; then
    unset YARN_CACHE_FOLDER
  fi
  if $production && [[ $(yarn --version) != [23].* ]]; then
    run_tool yarn workspaces focus --all --production || missing_modules "$(yarn_cause)"
  else
    run_tool yarn install || missing_modules "$(yarn_cause)"
  fi
  [[ ! -s $lock ]] || cmp -s "$lock" yarn.lock ||
    warn 'yarn.lock is out of step with package.json: other versions may be installed than the ones it has'
}

pnpm_install() {
  local arguments=()
  ! $production || arguments+=(--prod)
  export npm_config_store_dir=$PNPM_HOME npm_config_manage_package_manager_versions=false
  note "Installing node modules ($(if [[ -f pnpm-lock.yaml ]]; then echo pnpm-lock.yaml; else echo package.json; fi))"
  [[ -f pnpm-lock.yaml ]] || { run_tool pnpm install "${arguments[@]}" || missing_modules "$(pnpm_cause)"; return; }
  run_tool pnpm install --frozen-lockfile "${arguments[@]}" && return
  tool_said 'ERR_PNPM_(OUTDATED_LOCKFILE|LOCKFILE_CONFIG_MISMATCH|FROZEN_LOCKFILE_WITH_OUTDATED_LOCKFILE|LOCKFILE_BREAKING_CHANGE)' || missing_modules "$(pnpm_cause)"
  warn 'pnpm-lock.yaml is out of step with package.json: other versions may be installed than the ones it has'
  run_tool pnpm install --no-frozen-lockfile "${arguments[@]}" || missing_modules "$(pnpm_cause)"
}

# What the package manager reports of modules that others expect beside them.
warn_about_peers() {
  [[ ${NODE_VERBOSE:-} != true || $tool != npm ]] || npm ls --depth=0 2>&1 | tee -a "$tool_log" | indent || true
  ! grep -qiE 'unmet (peer )?dependency|ERESOLVE overriding peer dependency' "$tool_log" ||
    warn "Unmet dependencies don't fail $tool install but may cause runtime issues"
}

install_modules() {
  run_script heroku-prebuild
  if [[ $tool == yarn ]] && $berry; then berry_install; else "${tool}_install"; fi
  warn_about_peers
  run_script heroku-postbuild
}
