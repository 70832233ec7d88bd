# shellcheck shell=bash
# Paths of staging in what buildpacks install. Sourced after lib.sh.
#
# Staging works in /tmp/app and below /tmp/contents; the droplet is unpacked as /home/vcap/app and /home/vcap/deps. Tools write absolute paths into
# what they install: first lines of scripts, .pth files, records of editable installs, links, wrappers of commands. They become those of run time,
# which are valid during staging, too, because links stand there.

# Call it before anything is installed. Sets relocate_since, a file as old as this call.
begin_relocation() {
  relocate_since=$(mktemp)
  link_run_path /home/vcap/app "$BUILD"
  link_run_path /home/vcap/deps "$DEPS"
}

# The stack has an empty folder for the app. usage: link_run_path PATH TARGET
link_run_path() {
  [[ ! -L $1 ]] || return 0
  [[ ! -d $1 ]] || rmdir "$1" 2> /dev/null || return 0
  ln -s "$2" "$1"
}

# Rewrites text files and links of what was installed; of the app's folder only what is newer than begin_relocation: its own files may speak of /tmp/app.
end_relocation() {
  relocate_folder "$DEP"
  relocate_folder "$BUILD" -newer "$relocate_since"
}

# usage: relocate_folder FOLDER [FIND_CONDITION…]
relocate_folder() {
  local folder=$1 link target boundary='($|[^A-Za-z0-9_.-])'
  shift
  # A path in compiled Python is only for tracebacks, and Python corrects it when it loads the file.
  find "$folder" -type f "$@" ! -name '*.pyc' -print0 |
    { xargs -0r grep -lIZE -e "($BUILD|$DEPS)$boundary" || true; } |
    xargs -0r sed -i -E -e "s#$BUILD$boundary#/home/vcap/app\\1#g" -e "s#$DEPS$boundary#/home/vcap/deps\\1#g"
  while IFS= read -r -d '' link; do
    target=$(readlink "$link")
    case $target/ in
      "$BUILD"/*) ln -sfn "/home/vcap/app${target#"$BUILD"}" "$link" ;;
      "$DEPS"/*) ln -sfn "/home/vcap/deps${target#"$DEPS"}" "$link" ;;
    esac
  done < <(find "$folder" -type l \( -lname "$BUILD*" -o -lname "$DEPS*" \) -print0)
}
