# shellcheck shell=bash
# Which Go compiles the app. Uses BUILD, CACHE, tool of supply. Sets version and versions, and pattern if there were several to choose from.
# shellcheck disable=SC2154,SC2034

# The line of releases that apps get which ask for none: the official buildpack's.
readonly DEFAULT_GO=1.23.x

# The toolchain's architecture in the names of the Go project.
go_platform() {
  case $(uname -m) in
    x86_64) echo linux-amd64 ;;
    aarch64) echo linux-arm64 ;;
    *) fail "there is no Go for the processor $(uname -m)" ;;
  esac
}

# The number of the first line of a file that matches. usage: line_of PATTERN FILE
line_of() { grep -nE -m1 "$1" "$2" | cut -d: -f1 || true; }

# Sets asked (a version, a line of releases or latest) and asked_by.
read_request() {
  local file=$BUILD/buildpack.yml
  asked='' asked_by=''
  if [[ -n ${GOVERSION:-} ]]; then
    asked=$GOVERSION asked_by='the variable GOVERSION'
    return
  fi
  if [[ -f $file ]]; then
    asked=$(yaml_as_json "$file" | jq -r '.go.version? // empty' 2> /dev/null) || asked=''
    asked_by="buildpack.yml line $(line_of '^ +version:' "$file")"
  fi
  if [[ -z $asked && $tool == godep ]]; then
    file=$BUILD/Godeps/Godeps.json
    asked=$(jq -r '.GoVersion // empty' "$file") asked_by="Godeps/Godeps.json line $(line_of '"GoVersion"' "$file")"
  fi
  [[ -n $asked || $tool != gomod ]] || read_module_request
  [[ -n $asked ]] || asked=$DEFAULT_GO asked_by='the default'
}

# go.mod and go.work name the oldest Go that will do, in a line `go`, and the one that their author used, in a line `toolchain`.
read_module_request() {
  local file line kind value number newest=''
  for file in go.mod go.work; do
    [[ -f $BUILD/$file ]] || continue
    number=0
    while IFS= read -r line || [[ -n $line ]]; do
      number=$((number + 1))
      read -r kind value _ <<< "${line%%//*}"
      value=${value%$'\r'}
      [[ $kind =~ ^(go|toolchain)$ && ${value#go} =~ ^[0-9]+\.[0-9]+ ]] || continue
      value=${value#go}
      value=${value%%-*}
      [[ $(printf '%s\n' "$newest" "$value" | sort -V | tail -n 1) == "$value" ]] || continue
      newest=$value asked_by="$file line $number"
      asked=$value
      # The author's own Go exactly; else the newest fix of the oldest line that will do.
      [[ $kind == toolchain || ! $value =~ ^([0-9]+\.[0-9]+)(\.[0-9]+)?$ ]] || asked=${BASH_REMATCH[1]}.x
    done < "$BUILD/$file"
  done
  # Before Go 1.21 these lines did not bind: apps are compiled by newer ones than they name.
  [[ -z $newest || $(printf '%s\n' "$newest" 1.21 | sort -V | head -n 1) == 1.21 ]] || asked=''
}

# Sets versions, those that can be had, oldest first. Without a network those of the last time.
read_versions() {
  local kept=$CACHE/go-versions list
  list=$(mktemp)
  versions=''
  if fetch_file "$(registry go)/golang.org/toolchain/@v/list" "$list"; then
    sed -n "s/^v0\.0\.1-go\(.*\)\.$(go_platform)\$/\1/p" "$list" | sort -V > "$kept"
  fi
  rm -f "$list"
  [[ ! -s $kept ]] || versions=$(<"$kept")
}

# The newest fix of each line of releases, for a message. usage: short_list VERSIONS
short_list() {
  sort -V <<< "$1" | sed -nE '/^[0-9]+\.(2[0-9]|[3-9][0-9])(\.[0-9]+)?$/p' |
    awk -F. '{newest[$1 "." $2] = $0; if (!seen[$1 "." $2]++) order[++n] = $1 "." $2} END {for (i = 1; i <= n; i++) printf "%s%s", (i > 1 ? ", " : ""), newest[order[i]]}'
}

choose_go() {
  local plain
  pattern=''
  read_request
  plain=${asked#go}
  read_versions
  if [[ $plain =~ ^[0-9]+\.[0-9]+(\.[0-9]+|(rc|beta)[0-9]+)$ ]]; then
    # The registry's list may lack a version that it has.
    version=$plain
    [[ ! $version =~ ^(1\.(1?[0-9]|20))\.0$ ]] || version=${BASH_REMATCH[1]}
    return
  fi
  case $plain in
    latest | [xX*]) pattern='[0-9]+\.[0-9]+(\.[0-9]+)?' ;;
    *)
      [[ $plain =~ ^[0-9]+(\.([0-9]+|[xX*]))?(\.[xX*])?$ ]] ||
        fail "$asked_by asks for Go '$asked', which is no version: write go1.24.5, 1.24.x or latest"
      pattern=$(sed -E 's/(\.[xX*])+$//; s/\./\\./g' <<< "$plain")'(\.[0-9]+)*'
      ;;
  esac
  version=$(grep -xE "$pattern" <<< "$versions" | tail -n 1) || version=''
  [[ -n $version ]] || cannot_have "$plain"
}

# Prints the newest Go that was kept and that will do, too.
kept_version() {
  [[ -n $pattern ]] || return 0
  find "$CACHE/runtimes" -name "v0.0.1-go*.$(go_platform).zip" -printf '%f\n' 2> /dev/null | sed "s/^v0\.0\.1-go//; s/\.$(go_platform)\.zip\$//" |
    grep -xE "$pattern" | sort -V | tail -n 1 || true
}

# usage: cannot_have VERSION
cannot_have() {
  local had
  had=$(short_list "$versions")
  [[ -n $had ]] || fail "no match found for $1: $asked_by asks for it, and the list of Go's versions cannot be read (${fetch_error:-no network})"
  fail "no match found for $1: $asked_by asks for it; there are Go $had"
}
