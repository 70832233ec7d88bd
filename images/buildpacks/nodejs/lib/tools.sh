# shellcheck shell=bash
# npm, yarn and pnpm in the versions that the app asks for. Uses package, BUILD, CACHE, DEP of supply and range of version.sh.
# shellcheck disable=SC2034,SC2154  # modules.sh reads berry

stack_npm=$(command -v npm || true)

# The range that package.json has for a tool: engines, else packageManager. usage: wanted_tool npm|yarn|pnpm
wanted_tool() {
  jq -r --arg tool "$1" '.engines[$tool]? // (.packageManager? // "" | strings | select(startswith($tool + "@")) | ltrimstr($tool + "@") | sub("\\+.*"; "")) // ""' "$package"
}

# Fetches a tool from the npm registry with the stack's npm, which checks its digest and keeps it in the build cache.
# usage: fetch_tool COMMAND PACKAGE RANGE LINE
fetch_tool() {
  local command=$1
  tool_log=${tool_log:-$(mktemp)}
  note "Downloading and installing $command $3..."
  "$stack_node" "$stack_npm" install --global --prefix "$DEP/tools" --prefer-offline --loglevel error --engine-strict=false --ignore-scripts "$2@$3" > "$tool_log" 2>&1 ||
    fail "$4 asks for $command $3, which cannot be fetched: $(npm_cause)"
  link_tools
}

# What fetch_tool installed is found during staging and at run time.
link_tools() {
  local file
  for file in "$DEP"/tools/bin/*; do
    ln -sf "../tools/bin/${file##*/}" "$DEP/bin/${file##*/}"
  done
  hash -r
  [[ :$PATH: == *:$DEP/bin:* ]] || export PATH="$DEP/bin:$PATH"
}

choose_npm() {
  local wanted have node_version suited
  wanted=$(jq -r '.engines.npm? // ""' "$package")
  have=$(npm_version)
  note "engines.npm (package.json): ${wanted:-unspecified (use default)}"
  node_version=$(node -p process.versions.node)
  if [[ -n $wanted ]]; then
    if range satisfies "$have" "$wanted"; then
      note "npm $have already installed with node"
    else
      fetch_tool npm npm "$wanted" "$(line_of "$package" '"npm"[[:space:]]*:')"
    fi
  else
    suited=$(jq -r '.engines.node // "*"' "$(npm_folder)/package.json")
    if ! range satisfies "$node_version" "$suited"; then
      fetch_tool npm npm "$(range npm "$node_version")" "Node.js $node_version"
      have=$(npm --version)
    fi
    note "Using default npm version: $have"
  fi
}

# Install scripts of yarn's and pnpm's modules find the node-gyp of npm, as npm's own do.
offer_node_gyp() {
  local folder
  folder=$(npm_folder)
  [[ -f $folder/node_modules/node-gyp/bin/node-gyp.js ]] || return 0
  export npm_config_node_gyp=$folder/node_modules/node-gyp/bin/node-gyp.js
  export PATH=$PATH:$folder/node_modules/@npmcli/run-script/lib/node-gyp-bin
}

npm_folder() { realpath "$(dirname "$(realpath "$(command -v npm)")")/.."; }
npm_version() { jq -r .version "$(npm_folder)/package.json"; }

# Sets tool: the package manager of the lock file, or that of the packageManager field.
choose_package_manager() {
  tool=npm
  if [[ -f $BUILD/yarn.lock ]]; then
    tool=yarn
  elif [[ -f $BUILD/pnpm-lock.yaml ]]; then
    tool=pnpm
  elif [[ ! -f $BUILD/package-lock.json && ! -f $BUILD/npm-shrinkwrap.json ]]; then
    case $(jq -r '.packageManager? // "" | strings' "$package") in
      yarn@*) tool=yarn ;;
      pnpm@*) tool=pnpm ;;
    esac
  fi
  case $tool in
    yarn) choose_yarn && offer_node_gyp ;;
    pnpm) choose_pnpm && offer_node_gyp ;;
  esac
}

# Yarn from version 2 on (berry) has its own commands. The app may bring it along in .yarn/releases.
choose_yarn() {
  local wanted own=''
  wanted=$(wanted_tool yarn)
  [[ ! -f $BUILD/.yarnrc.yml ]] || own=$(sed -nE 's/^yarnPath:[[:space:]]*"?([^"[:space:]]+)"?[[:space:]]*$/\1/p' "$BUILD/.yarnrc.yml")
  berry=false
  if [[ -n $own && -f $BUILD/$own ]]; then
    berry=true
    printf '#!/bin/sh\nexec node "/home/vcap/app/%s" "$@"\n' "${own#./}" > "$DEP/bin/yarn"
    chmod +x "$DEP/bin/yarn"
    [[ :$PATH: == *:$DEP/bin:* ]] || export PATH="$DEP/bin:$PATH"
    hash -r
  elif grep -q '^__metadata:' "$BUILD/yarn.lock" 2> /dev/null || { [[ -n $wanted ]] && ! range satisfies 1.22.22 "$wanted" && ! [[ $wanted =~ ^[~^=v\ ]*[01](\.|$) ]]; }; then
    berry=true
    if [[ -z $wanted ]] || range satisfies 1.22.22 "$wanted"; then wanted=4; fi
    fetch_tool yarn @yarnpkg/cli-dist "$wanted" "$(line_of "$package" '"(yarn|packageManager)"[[:space:]]*:')"
  elif ! command -v yarn > /dev/null || { [[ -n $wanted ]] && ! range satisfies "$(yarn --version)" "$wanted"; }; then
    fetch_tool yarn yarn "${wanted:-1}" "$(line_of "$package" '"(yarn|packageManager)"[[:space:]]*:')"
  fi
  note "Installed yarn $(cd "$BUILD" && yarn --version)"
}

# Each version of the lock file is written by other versions of pnpm.
choose_pnpm() {
  local wanted format
  wanted=$(wanted_tool pnpm)
  if [[ -z $wanted ]]; then
    format=$(sed -nE "s/^lockfileVersion:[[:space:]]*'?\"?([0-9]+).*/\\1/p" "$BUILD/pnpm-lock.yaml" 2> /dev/null)
    case $format in
      5) wanted=7 ;;
      6) wanted=8 ;;
      *) wanted=10 ;;
    esac
  fi
  fetch_tool pnpm pnpm "$wanted" "$(line_of "$package" '"(pnpm|packageManager)"[[:space:]]*:')"
  note "Installed pnpm $(cd / && pnpm --version)"
}
