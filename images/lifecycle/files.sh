# shellcheck shell=bash
# shellcheck disable=SC2034  # cause is for the caller
# Unpacks zips, and keeps credentials out of the log.

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

# Removes a folder although folders in it may not be written, such as those of Go's cache of modules. usage: remove_folder FOLDER
remove_folder() {
  [[ -L $1 || ! -d $1 ]] || chmod -R u+rwx "$1"
  rm -rf "$1"
}

# A text without the credentials of its URLs, for the log: those before the host, and all of a query, which may be a signature.
redact() {
  sed -E "s#(://)[^/[:space:]'\"]*@#\1[redacted]@#g; s#(://[^[:space:]'\"?]*\?)[^[:space:]'\"\#]*#\1[redacted]#g" <<< "$1"
}
