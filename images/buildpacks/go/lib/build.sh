# shellcheck shell=bash
# Compiling. Uses BUILD, CACHE, tool, package_name and package_folder of finalize and gopath.sh.
# shellcheck disable=SC2154,SC2034

# Compiled packages and downloaded modules are kept, so that a restage is quick and needs no network.
prepare_caches() {
  export GOCACHE=$CACHE/go-cache GOMODCACHE=$CACHE/go-mod
  runner=go
}

# Runs the go command in the app's package; its first complaint is the cause of a failure. usage: run_go ARGUMENT…
run_go() {
  local log cause
  log=$(mktemp)
  if (cd "$package_folder" && go "$@") 2>&1 | tee "$log" | indent; then
    rm -f "$log"
    return
  fi
  cause=$(grep -m1 -vE '^(#|go: (downloading|finding|extracting|creating|added|to add|upgraded)|[[:space:]]*(go mod tidy)?$)' "$log") || cause=''
  fail "go $1 failed: ${cause:-see above}"
}

# Sets packages. What is vendored may be named as if it were not.
read_packages() {
  local package
  packages=()
  if [[ -n ${GO_INSTALL_PACKAGE_SPEC:-} ]]; then
    read -r -a packages <<< "$GO_INSTALL_PACKAGE_SPEC"
    [[ $tool != godep ]] || warn "Using \$GO_INSTALL_PACKAGE_SPEC override: $GO_INSTALL_PACKAGE_SPEC"
  elif [[ $tool == godep ]]; then
    mapfile -t packages < <(jq -r '.Packages // [] | .[]' "$BUILD/Godeps/Godeps.json" 2> /dev/null || jq -r '.Packages // [] | .[]' "$package_folder/Godeps/Godeps.json")
  fi
  if ((${#packages[@]} == 0)); then
    packages=(.)
    warn "Installing package '.' (default)"
  fi
  [[ $GO111MODULE == off ]] || return 0
  for package in "${!packages[@]}"; do
    [[ ${packages[package]} == . || ! -d $package_folder/vendor/${packages[package]} ]] ||
      packages[package]=$package_name/vendor/${packages[package]}
  done
}

# Sets flags. A symbol of GO_LINKER_SYMBOL wins over the same one in buildpack.yml.
read_flags() {
  local linked='{}' file=$BUILD/buildpack.yml
  flags=(-tags cloudfoundry -buildmode pie)
  [[ -f $file ]] || file=$package_folder/buildpack.yml
  if [[ -f $file ]]; then
    linked=$(yaml_as_json "$file" | jq -c '.go?.ldflags? // {}') || fail 'buildpack.yml is not valid YAML'
  fi
  linked=$(jq -r --arg symbol "${GO_LINKER_SYMBOL:-}" --arg value "${GO_LINKER_VALUE:-}" '
    if $symbol != "" and $value != "" then .[$symbol] = $value else . end
    | [to_entries[] | "\(.key)=\(.value)" | if test("[[:space:]]") then "-X \u0027\(.)\u0027" else "-X \(.)" end] | join(" ")' <<< "$linked") ||
    fail 'ldflags of buildpack.yml is not a map'
  [[ -z $linked ]] || flags+=(-ldflags "$linked")
}

compile() {
  local before=$SECONDS
  step "Running: $runner install ${flags[*]} ${packages[*]}"
  touch "$BUILD/.compiling"
  run_go install "${flags[@]}" "${packages[@]}"
  note "Compiled in $((SECONDS - before)) s"
}

# The program is named like the package's last part; a part v2 belongs to the version. usage: program_name PACKAGE
program_name() {
  local name=${1%/}
  [[ ! ${name##*/} =~ ^v([2-9]|[1-9][0-9]+)$ || $name != */* ]] || name=${name%/*}
  printf '%s' "${name##*/}"
}

set_start() {
  local name built=() file
  name=$(program_name "$package_name")
  [[ ${packages[0]} == . ]] || name=$(program_name "${packages[0]}")
  for file in "$BUILD"/bin/*; do
    [[ ! -f $file || $file -ot $BUILD/.compiling ]] || built+=("${file##*/}")
  done
  rm -f "$BUILD/.compiling"
  if [[ ! -f $BUILD/bin/$name ]]; then
    if ((${#built[@]} == 0)); then
      warn "no program was made: ${packages[*]} has no package main. Name it in GO_INSTALL_PACKAGE_SPEC, such as ./cmd/app"
    else
      name=${built[0]}
    fi
  fi
  if [[ $tool != gomod && ${GO_SETUP_GOPATH_IN_IMAGE:-} == true ]]; then
    set_web_command "\$HOME/bin/$name"
  else
    set_web_command "./bin/$name"
  fi
}

# Keeps what this app uses. Modules are kept packed, and only those that were unpacked for this staging.
trim_caches() {
  local zip module most=500000
  if [[ -d $GOMODCACHE/cache/download ]]; then
    while IFS= read -r zip; do
      module=${zip#"$GOMODCACHE/cache/download/"}
      module=${module%.zip}
      [[ -d $GOMODCACHE/${module/\/@v\//@} ]] || rm -f "$zip" "${zip%.zip}.ziphash"
    done < <(find "$GOMODCACHE/cache/download" -name '*.zip')
    find "$GOMODCACHE" -mindepth 1 -maxdepth 1 ! -name cache -exec chmod -R u+w {} + -exec rm -rf {} +
  fi
  rm -rf "$GOMODCACHE/cache/vcs"
  # The go command renews the time of an entry that it uses once an hour.
  if (($(du -sk "$GOCACHE" | cut -f1) > most)); then
    find "$GOCACHE" -type f -mmin +$((SECONDS / 60 + 65)) -delete
    (($(du -sk "$GOCACHE" | cut -f1) <= most)) || rm -rf "$GOCACHE"
  fi
}
