# shellcheck shell=bash
# Bringing files into the staging container: unpacking zips and fetching buildpacks from a URL.

# Unpacks a zip below a folder, keeping modes and UTF-8 names. Refuses entries and links that lead out of the folder.
# usage: unpack_zip ZIP FOLDER
unpack_zip() {
  local zip=$1 folder=$2 names name link target status=0
  mkdir -p "$folder"
  # A package may hold no files at all: such a zip is nothing but its end record.
  [[ -s $zip && $(head -c 4 "$zip") != $'PK\x05\x06' ]] || return 0
  if ! names=$(LC_ALL=C.UTF-8 unzip -Z1 "$zip" 2>&1); then
    echo "the archive can not be read: ${names%%$'\n'*}" >&2
    return 1
  fi
  while IFS= read -r name; do
    if [[ /$name/ == */../* || $name == /* || $name == *\\..\\* ]]; then
      echo "the archive has an entry outside of its folder: $name" >&2
      return 1
    fi
  done <<< "$names"
  # 1 is a warning, such as an odd time stamp.
  LC_ALL=C.UTF-8 unzip -q -o -d "$folder" "$zip" < /dev/null >&2 || status=$?
  ((status <= 1)) || { echo "the archive can not be unpacked (unzip: $status)" >&2; return 1; }
  # Zips made elsewhere may lack the bits that let their folders be entered.
  find "$folder" -type d ! -perm -700 -exec chmod u+rwx {} +
  while IFS= read -r -d '' link; do
    target=$(readlink "$link")
    # The app will live in /home/vcap/app: a link that names that place stays inside.
    [[ $target == /home/vcap/app || $target == /home/vcap/app/* ]] && target=$folder${target#/home/vcap/app}
    [[ $target == /* ]] || target=${link%/*}/$target
    target=$(realpath -m "$target")
    if [[ $target != "$folder" && $target != "$folder"/* ]]; then
      echo "the archive has a link that leads out of its folder: ${link#"$folder"/} -> $(readlink "$link")" >&2
      return 1
    fi
  done < <(find "$folder" -type l -print0)
}

# A URL without its credentials, for the log.
redact() {
  sed -E 's#(://)[^/@]+@#\1[redacted]@#' <<< "$1"
}

# Fetches a buildpack from a URL into a folder: a .zip over HTTP, everything else with git, a #fragment being a branch or a tag.
# usage: fetch_buildpack URL FOLDER
fetch_buildpack() {
  local url=$1 folder=$2 plain=${1%%[?#]*} shown
  shown=$(redact "$url")
  # The platform may have put a copy there that it keeps for staging without a network.
  [[ ! -d $folder ]] || return 0
  mkdir -p "${folder%/*}"
  if [[ $plain == *.zip ]]; then
    echo "Downloading buildpack from $shown..."
    curl --fail --silent --show-error --location --max-time 600 --output "$folder.zip" "$url" 2> "$folder.log" &&
      unpack_zip "$folder.zip" "$folder" 2>> "$folder.log"
  else
    echo "Cloning buildpack from $shown..."
    clone_buildpack "${url%%#*}" "$folder" "${url#"${url%%#*}"}" 2> "$folder.log"
  fi && { rm -f "$folder.zip"; return 0; }
  {
    echo "Failed to get the buildpack from $shown:"
    redact "$(tail -n 3 "$folder.log")"
    echo 'Check the URL and the network, or upload the buildpack once with cf create-buildpack and name it instead.'
  } >&2
  return 1
}

# A shallow clone is what a buildpack needs; servers that refuse one are asked for everything.
clone_buildpack() {
  local url=$1 folder=$2 branch=${3#\#}
  # Nobody is there to type a password.
  export GIT_TERMINAL_PROMPT=0 GIT_SSH_COMMAND='ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new'
  git clone --quiet --depth 1 --recursive ${branch:+--branch "$branch"} "$url" "$folder" && return 0
  rm -rf "$folder"
  git clone --quiet --recursive "$url" "$folder" || return 1
  [[ -z $branch ]] || git -C "$folder" checkout --quiet --recurse-submodules "$branch"
}
