# shellcheck shell=bash
# Unpacks zips and downloads buildpacks from a URL.

# Unpacks a zip below a folder, keeping modes and UTF-8 names. Rejects entries outside the folder. Links may point anywhere, as on
# Cloud Foundry (a virtualenv links to /usr/bin/python3, an app to /dev/stdout): nothing is written through them, because unzip creates links
# last, the platform rejects packages with entries below a link, and their targets are in the container.
# On failure the variable cause holds the reason.
# usage: unpack_zip ZIP FOLDER
unpack_zip() {
  local zip=$1 folder=$2 names name status=0
  mkdir -p "$folder"
  # A package may have no files: its zip is only the end record.
  [[ -s $zip && $(head -c 4 "$zip") != $'PK\x05\x06' ]] || return 0
  if ! names=$(LC_ALL=C.UTF-8 unzip -Z1 "$zip" 2>&1); then
    cause="the archive cannot be read: ${names%%$'\n'*}"
    return 1
  fi
  while IFS= read -r name; do
    if [[ /$name/ == */../* || $name == /* || $name == *\\..\\* ]]; then
      cause="the archive has an entry outside of its folder: $name"
      return 1
    fi
  done <<< "$names"
  # 1 is a warning, such as an invalid time stamp.
  LC_ALL=C.UTF-8 unzip -q -o -d "$folder" "$zip" < /dev/null >&2 || status=$?
  ((status <= 1)) || { cause="the archive cannot be unpacked (unzip: $status)"; return 1; }
  # Some zips lack the permission to enter their folders.
  find "$folder" -type d ! -perm -700 -exec chmod u+rwx {} +
}

# A URL without its credentials, for the log.
redact() {
  sed -E 's#(://)[^/@]+@#\1[redacted]@#' <<< "$1"
}

# Downloads a buildpack from a URL into a folder: a .zip over HTTP, everything else with git; a #fragment is a branch or a tag. On failure
# the variable cause holds the reason.
# usage: fetch_buildpack URL FOLDER
fetch_buildpack() {
  local url=$1 folder=$2 plain=${1%%[?#]*} shown
  shown=$(redact "$url")
  # The platform may have provided a copy for staging without a network.
  [[ ! -d $folder ]] || return 0
  mkdir -p "${folder%/*}"
  if [[ $plain == *.zip ]]; then
    echo "Downloading buildpack from $shown..."
    if curl --fail --silent --show-error --location --max-time 600 --output "$folder.zip" "$url" 2> "$folder.log"; then
      unpack_zip "$folder.zip" "$folder" 2>> "$folder.log" && rm -f "$folder.zip" && return 0
      printf '%s\n' "$cause" >> "$folder.log"
    fi
  else
    echo "Cloning buildpack from $shown..."
    clone_buildpack "${url%%#*}" "$folder" "${url#"${url%%#*}"}" 2> "$folder.log" && return 0
  fi
  {
    redact "$(tail -n 3 "$folder.log")"
    echo 'Check the URL and the network, or upload the buildpack once with cf create-buildpack and name it instead.'
  } >&2
  cause="the buildpack from $shown cannot be fetched: $(redact "$(fetch_cause "$folder.log")")"
  return 1
}

# The line of a log of git, curl or unpack_zip with the cause: the last error, else the last line.
fetch_cause() {
  local line found='' last=''
  while IFS= read -r line; do
    [[ $line != fatal:* && $line != error:* && $line != curl:* && $line != 'the archive '* ]] || found=$line
    last=${line:-$last}
  done < "$1"
  printf '%s\n' "${found:-${last:-no reason was given}}"
}

# A shallow clone, else a full one for servers that do not support it.
clone_buildpack() {
  local url=$1 folder=$2 branch=${3#\#}
  # No terminal to ask for a password.
  export GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND='ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new'
  git clone --quiet --depth 1 --recursive ${branch:+--branch "$branch"} "$url" "$folder" && return 0
  rm -rf "$folder"
  git clone --quiet --recursive "$url" "$folder" || return 1
  [[ -z $branch ]] || git -C "$folder" checkout --quiet --recurse-submodules "$branch"
}
