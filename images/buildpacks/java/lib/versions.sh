# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # variables are shared with the other libraries
# Versions that are asked for as a pattern, and lists of versions that can be had.

# Turns the ways to ask for a version (21, 21.+, 21.0.*, 21.x, 1.8.0_+) into a prefix without a wildcard: 21, 21.0, 8.0.
# usage: version_prefix PATTERN
version_prefix() {
  local pattern=${1//[[:space:]]/}
  pattern=${pattern//_/.}
  [[ ! $pattern =~ ^1\.([5-8])(\..*)?$ ]] || pattern=${BASH_REMATCH[1]}${BASH_REMATCH[2]}
  while [[ $pattern =~ ^(.*)\.[+*xX]$ ]]; do pattern=${BASH_REMATCH[1]}; done
  [[ $pattern =~ ^[0-9]+(\.[0-9]+)*(\+[0-9]+)?$ ]] || return 1
  printf '%s' "$pattern"
}

# Prints the lines whose first field matches a prefix, the newest one first. usage: matching_versions PREFIX < LINES
matching_versions() {
  awk -F '\t' -v prefix="$1" '{ version = $1; if (prefix !~ /\+/) sub(/\+.*/, "", version)
    if (index(version ".", prefix ".") == 1) print }' | sort -t $'\t' -s -k 1,1Vr
}

# Lists what can be had, for a message. usage: list_versions < LINES
list_versions() { cut -f 1 | sort -Vu | paste -sd , | sed 's/,/, /g'; }

# A list of versions is looked up at most once a day; without a network the kept one is used. False with fetch_error when there is none.
# usage: kept_list NAME COMMAND… (the command prints the list)
kept_list() {
  local name=$1 kept=$CACHE/runtimes/$1.list
  shift
  mkdir -p "${kept%/*}"
  if [[ ! -s $kept || -z $(find "$kept" -mmin -1440) ]]; then
    note "Looking up versions of $name"
    # Not in a subshell: the command sets fetch_error.
    if "$@" > "$kept.new" && [[ -s $kept.new ]]; then mv "$kept.new" "$kept"; fi
    rm -f "$kept.new"
  fi
  [[ -s $kept ]] || return 1
  list=$(<"$kept")
}
