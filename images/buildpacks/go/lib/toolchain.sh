# shellcheck shell=bash
# Installs Go from the module proxy, which serves each release as the module golang.org/toolchain. Uses version of version.sh.
# shellcheck disable=SC2154

# Prints what all files of a toolchain add up to, as the checksum database of Go says. Known digests need no network: those of the
# usual releases come with the buildpack, others were kept. usage: toolchain_digest NAME
toolchain_digest() {
  local kept=$CACHE/go-toolchains.sum digest
  digest=$(cat "$BUILDPACK_DIR/lib/toolchains.sum" "$kept" 2> /dev/null | awk -v name="$1" '$2 == name {print $3; exit}')
  if [[ -z $digest ]]; then
    digest=$(fetch_text "$(registry go)/sumdb/sum.golang.org/lookup/golang.org/toolchain@$1" |
      awk -v name="$1" '$1 == "golang.org/toolchain" && $2 == name {print $3; exit}') || return 1
    [[ $digest == h1:* ]] || return 1
    printf 'golang.org/toolchain %s %s\n' "$1" "$digest" >> "$kept"
  fi
  printf '%s' "$digest"
}

# Without a network an older one that will do is taken instead. Sets name and archive.
fetch_toolchain() {
  local kept
  name=v0.0.1-go$version.$(go_platform)
  fetch_runtime "Go $version" "$(registry go)/golang.org/toolchain/@v/$name.zip" && return
  [[ $fetch_error != *' answers 4'* ]] || cannot_have "$version"
  kept=$(kept_version)
  [[ -n $kept && $kept != "$version" ]] || fail "Go $version, which $asked_by asks for, cannot be fetched: $fetch_error"
  note "Go $version cannot be fetched ($fetch_error): Go $kept will do"
  version=$kept
  fetch_toolchain
}

install_toolchain() {
  local name digest
  fetch_toolchain
  # One toolchain is kept for the app.
  find "$CACHE/runtimes" -name 'v0.0.1-go*' ! -name "$name.zip" -delete 2> /dev/null || true
  digest=$(toolchain_digest "$name") ||
    fail "Go $version cannot be verified: the checksum database of Go does not answer, and its digest is not known yet"
  python3 "$BUILDPACK_DIR/lib/unpack_toolchain.py" "$archive" "$name" "$digest" "$DEP/go" || {
    rm -f "$archive"
    fail "Go $version is not what the checksum database of Go promised: the digest differs"
  }
}
