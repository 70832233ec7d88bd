# shellcheck shell=bash
# Artifacts of Maven Central.

# Prints an artifact's released versions: no milestones, no candidates. usage: maven_versions GROUP/WITH/SLASHES/ARTIFACT
maven_versions() {
  local file
  file=$(mktemp)
  fetch_file "$(registry maven)/$1/maven-metadata.xml" "$file" || return 1
  sed -nE 's#.*<version>([0-9]+(\.[0-9]+)*)</version>.*#\1#p' "$file"
  rm -f "$file"
}

# Downloads an artifact that is verified by the checksum beside it. Sets archive. False with fetch_error when it cannot be had.
# usage: fetch_maven TITLE GROUP/WITH/SLASHES/ARTIFACT VERSION EXTENSION
fetch_maven() {
  local url kept=$CACHE/runtimes digest kind sum
  url=$(registry maven)/$2/$3/${2##*/}-$3.$4
  digest=$kept/${url##*/}.digest
  mkdir -p "$kept"
  if [[ ! -s $digest ]]; then
    for kind in sha512 sha256 sha1; do
      sum=$(mktemp)
      fetch_file "$url.$kind" "$sum" || continue
      sum=$(head -c 200 "$sum")
      [[ $sum =~ ^[0-9a-f]{40,128} ]] || continue
      printf '%s:%s' "$kind" "${BASH_REMATCH[0]}" > "$digest"
      break
    done
    [[ -s $digest ]] || return 1
  fi
  fetch_runtime "$1" "$url" "$(<"$digest")"
}
