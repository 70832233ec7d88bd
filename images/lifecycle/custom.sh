# shellcheck shell=bash
# Custom buildpacks: downloads them from a URL and keeps them in the app's build cache, in /tmp/cache/custom/HASH of the URL.
# A kept one is asked for again at each staging, and used when it is still current, or when its server cannot be reached.
# Uses builder's `key_hash` and `cache`, files.sh and git.sh.
# shellcheck disable=SC2154

# Downloads a buildpack from a URL into a folder: a .zip over HTTP, everything else with git; a #fragment is a branch, a tag or a commit.
# On failure the variable cause holds the reason, in one line.
# usage: fetch_buildpack URL FOLDER
fetch_buildpack() {
  local url=$1 folder=$2 plain=${1%%[?#]*} shown kept reason='' offline=false version=''
  shown=$(redact "$url")
  kept=$cache/custom/$(key_hash "$url")
  # The platform may have provided a copy for staging without a network.
  [[ ! -d $folder ]] || return 0
  mkdir -p "${folder%/*}" "$kept"
  if [[ $plain == *.zip ]]; then
    echo "Downloading buildpack from $shown..."
    fetch_zip "$url" "$folder" "$kept" && return 0
  else
    echo "Cloning buildpack from $shown..."
    fetch_git "$url" "$folder" "$kept" && return 0
  fi
  reason=$(redact "$reason")
  if $offline && restore_buildpack "$kept" "$folder"; then
    echo "The buildpack's server cannot be reached ($reason): its copy of an earlier staging is used, $version"
    return 0
  fi
  rmdir "$kept" 2> /dev/null
  cause="the buildpack from $shown cannot be fetched: $reason"
  ! $offline || cause+='. Check the URL and the network, or upload it once with cf create-buildpack'
  return 1
}

# Unpacks the kept copy and sets version, in words. usage: restore_buildpack KEPT FOLDER
restore_buildpack() {
  [[ -s $1/version ]] || return 1
  version=$(<"$1/version")
  rm -rf "$2"
  if [[ -f $1/buildpack.zip ]]; then
    unpack_zip "$1/buildpack.zip" "$2"
  else
    mkdir -p "$2" && tar -C "$2" -xf "$1/buildpack.tar"
  fi
}

# usage: fetch_zip URL FOLDER KEPT. On failure sets reason and offline.
fetch_zip() {
  local url=$1 folder=$2 kept=$3 zip=$2.zip log=$2.log headers=() name code status
  if [[ -f $kept/buildpack.zip ]]; then
    for name in If-None-Match If-Modified-Since; do
      [[ ! -s $kept/$name ]] || headers+=(--header "$name: $(<"$kept/$name")")
    done
  fi
  code=$(curl --globoff --silent --show-error --location --connect-timeout 15 --speed-limit 1024 --speed-time 60 --max-time 600 "${headers[@]}" \
    --dump-header "$log.headers" --output "$zip" --write-out '%{http_code}' "${url%%#*}" 2> "$log")
  status=$?
  case $status:$code in
    0:304)
      restore_buildpack "$kept" "$folder" || return 1
      echo "The buildpack is the one of the earlier staging, $version"
      return 0
      ;;
    0:200 | 0:000) ;;
    0:404 | 0:410) reason="there is no such file ($code)" ;;
    0:401 | 0:403 | 0:407) reason="the server wants other credentials ($code): write them in the URL, https://USER:PASSWORD@HOST/…" ;;
    0:5*) reason="the server answers $code" offline=true ;;
    0:*) reason="the server answers $code" ;;
    # The URL is no URL, a file is missing, a certificate is not trusted.
    [13]:* | 22:* | 37:* | 60:*) reason=$(explain "$log") ;;
    *) reason=$(explain "$log") offline=true ;;
  esac
  [[ -z $reason ]] || return 1
  if [[ $(head -c 2 "$zip") != PK ]]; then
    reason="what the server sent is not a zip, it begins with '$(head -c 40 "$zip" | tr -cd '[:print:]')'"
    return 1
  fi
  unpack_zip "$zip" "$folder" 2> /dev/null || { reason=$cause; return 1; }
  mv "$zip" "$kept/buildpack.zip"
  header etag "$log.headers" > "$kept/If-None-Match"
  header last-modified "$log.headers" > "$kept/If-Modified-Since"
  printf 'sha256 %s' "$(sha256sum < "$kept/buildpack.zip" | cut -c1-12)" > "$kept/version"
}

# The value of a header in the last one of the answers that curl has got. usage: header NAME FILE
header() {
  local line value=''
  while IFS= read -r line; do
    line=${line%$'\r'}
    [[ $line != HTTP/* ]] || value=''
    [[ ${line,,} != "$1: "* ]] || value=${line#*: }
  done < "$2"
  printf '%s' "$value"
}

# The cause in a log of git or curl, in one line. usage: explain LOG
explain() {
  local line found='' last=''
  while IFS= read -r line; do
    [[ $line != fatal:* && $line != error:* && $line != curl:* && $line != ssh:* ]] || found=$line
    last=${line:-$last}
  done < "$1"
  line=${found:-${last:-no reason was given}}
  line=$(sed -E "s#^(fatal|error): ##; s#^curl: \([0-9]+\) ##; s#^unable to access '[^']*': ##" <<< "$line")
  case $line in
    *'ould not resolve host'*) line="the host name cannot be resolved (DNS): ${line#*host: }" ;;
    *'could not read Username'* | *'could not read Password'* | *'terminal prompts disabled'*)
      line='the server wants credentials: write them in the URL, https://USER:TOKEN@HOST/…' ;;
    *'Authentication failed'* | *'returned error: 403'*) line='the server refuses the credentials in the URL' ;;
    "repository '"*"' not found") line='there is no such repository (404)' ;;
    *'is this a git repository?'* | *'does not appear to be a git repository'*) line='there is no git repository at this URL' ;;
  esac
  printf '%s' "$line"
}
