# shellcheck shell=bash
# Installing the app's modules with npm or yarn, in its folder. Uses package, CACHE.
# shellcheck disable=SC2154

# The user's own settings win. Without a network nothing may hang: no audits, no notices, few retries.
set_npm_environment() {
  export NODE_ENV=${NODE_ENV:-production}
  export npm_config_cache=$CACHE/npm npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false npm_config_progress=false
  export npm_config_fetch_retries=${npm_config_fetch_retries:-1} npm_config_fetch_retry_mintimeout=1000 npm_config_fetch_retry_maxtimeout=3000
  export YARN_CACHE_FOLDER=$CACHE/yarn
  export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
  [[ ! -d /usr/local/include/node ]] || export npm_config_nodedir=/usr/local
  omit=(--omit=dev)
  [[ ${NPM_CONFIG_PRODUCTION:-true} == true && $NODE_ENV == production ]] || omit=(--include=dev)
  # Today's npm knows it by another name and would warn in each line.
  unset NPM_CONFIG_PRODUCTION
}

# usage: run_script NAME; does nothing when package.json has no such script
run_script() {
  jq -e --arg name "$1" '.scripts[$name]?' "$package" > /dev/null || return 0
  step "Running $1"
  npm run "$1" --if-present 2>&1 | indent || fail "the script $1 of package.json failed"
}

missing_modules() {
  fail 'Could not install the node modules' 'Above the tool names what is missing. Without a network, push node_modules along: remove it from .cfignore.'
}

npm_install() {
  local vendored=false
  [[ ! -d node_modules ]] || vendored=true
  if $vendored; then
    note 'Rebuilding any native modules of the vendored node_modules'
    npm rebuild 2>&1 | indent || fail 'npm rebuild failed'
  fi
  if ! $vendored && [[ -f package-lock.json || -f npm-shrinkwrap.json ]]; then
    note 'Installing node modules (package-lock.json)'
    npm ci "${omit[@]}" 2>&1 | indent || missing_modules
  else
    note 'Installing node modules (package.json)'
    npm install "${omit[@]}" --prefer-offline --no-package-lock 2>&1 | indent || missing_modules
  fi
}

yarn_install() {
  local arguments=(--frozen-lockfile --non-interactive --ignore-engines)
  command -v yarn > /dev/null || fail 'this stack has no yarn' 'Push a package-lock.json instead of the yarn.lock.'
  check_tool yarn
  [[ ${omit[0]} == --omit=dev ]] && arguments+=(--production=true) || arguments+=(--production=false)
  if [[ -d npm-packages-offline-cache ]]; then
    note 'Found yarn mirror directory npm-packages-offline-cache: running yarn in offline mode'
    yarn config set yarn-offline-mirror "$PWD/npm-packages-offline-cache" > /dev/null
    arguments+=(--offline)
  fi
  note 'Installing node modules (yarn.lock)'
  yarn install "${arguments[@]}" 2>&1 | indent || missing_modules
}

install_modules() {
  run_script heroku-prebuild
  if [[ -f yarn.lock ]]; then
    yarn_install
  else
    npm_install
  fi
  run_script heroku-postbuild
}
