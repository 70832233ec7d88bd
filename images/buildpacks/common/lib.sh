# shellcheck shell=bash
# Shared by the built-in buildpacks. Sourced by each bin/supply and bin/finalize, which then call `begin_supply` or `begin_finalize`.
#
# As in every Cloud Foundry buildpack, the final one merges what several buildpacks installed in deps/<idx>:
# `use_supplied` makes it visible during staging, `write_profile` at run time.
set -eu -o pipefail

step() { printf -- '-----> %s\n' "$*"; }
note() { printf -- '       %s\n' "$*"; }
warn() { printf -- '       **WARNING** %s\n' "$*"; }

# usage: fail MESSAGE [HINT…]
fail() {
  printf -- '       **ERROR** %s\n' "$1" >&2
  shift
  (($# == 0)) || printf -- '       %s\n' "$@" >&2
  exit 1
}

# Indents the output of a tool below the step that runs it, line by line as it comes.
indent() { sed -u 's/^/       /'; }

# usage: begin_supply NAME TITLE BUILD CACHE DEPS IDX. Sets BUILD, CACHE, DEP (this buildpack's own folder), DEPS, IDX.
begin_supply() {
  local name=$1 title=$2 version
  BUILD=$3 CACHE=$4 DEPS=$5 IDX=$6 DEP=$5/$6
  version=$(<"$BUILDPACK_DIR/VERSION")
  step "$title Buildpack version $version"
  mkdir -p "$DEP" "$CACHE"
  printf 'name: %s\nversion: "%s"\n' "$name" "$version" > "$DEP/config.yml"
  use_supplied
  tell_overrides "$name"
}

# Earlier buildpacks may change the list of downloads of an official buildpack. The built-in ones have no such list: it must not go unnoticed.
tell_overrides() {
  local file
  for file in "$DEPS"/*/override.yml; do
    if [[ -f $file ]] && grep -qE "^[\"']?$1[\"']?:" "$file"; then
      warn "override.yml of an earlier buildpack asks for other dependencies of $1: this buildpack has no list of downloads to change"
    fi
  done
}

# usage: begin_finalize BUILD CACHE DEPS IDX PROFILE_DIR
begin_finalize() {
  # shellcheck disable=SC2034  # not every buildpack has a use for all of them
  BUILD=$1 CACHE=$2 DEPS=$3 IDX=$4 DEP=$3/$4 PROFILE_DIR=$5
  use_supplied
  write_profile
}

# Fails when the stack lacks the buildpack's runtime. usage: need_command NAME WHAT
need_command() {
  command -v "$1" > /dev/null || fail "this stack has no $2" "Use the stack that cflite builds, or a buildpack that brings $2 itself."
}

# Adds what this buildpack and those before it supplied to the search paths during staging; later ones come first.
use_supplied() {
  local folder file
  for folder in "$DEPS"/*/; do
    folder=${folder%/}
    [[ ! -d $folder/bin ]] || export PATH="$folder/bin:$PATH"
    if [[ -d $folder/lib ]]; then
      export LD_LIBRARY_PATH="$folder/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" LIBRARY_PATH="$folder/lib${LIBRARY_PATH:+:$LIBRARY_PATH}"
    fi
    [[ ! -d $folder/include ]] || export CPATH="$folder/include${CPATH:+:$CPATH}"
    [[ ! -d $folder/pkgconfig ]] || export PKG_CONFIG_PATH="$folder/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
    for file in "$folder"/env/*; do
      [[ ! -f $file ]] || export "${file##*/}=$(<"$file")"
    done
  done
}

# Writes the hooks that make what all buildpacks supplied visible to the app: their profile.d and the search paths.
write_profile() {
  local folder index script
  mkdir -p "$PROFILE_DIR"
  for folder in "$DEPS"/*/; do
    folder=${folder%/} index=${folder%/} index=${index##*/}
    if [[ -d $folder/bin ]]; then printf 'export PATH="$DEPS_DIR/%s/bin:$PATH"\n' "$index"; fi
    if [[ -d $folder/lib ]]; then
      printf 'export LD_LIBRARY_PATH="$DEPS_DIR/%s/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"\n' "$index"
      printf 'export LIBRARY_PATH="$DEPS_DIR/%s/lib${LIBRARY_PATH:+:$LIBRARY_PATH}"\n' "$index"
    fi
    for script in "$folder"/profile.d/*; do
      [[ ! -f $script ]] || cp "$script" "$PROFILE_DIR/${index}_${script##*/}"
    done
  done > "$PROFILE_DIR/000_multi-supply.sh"
}

# Stores a start command for bin/release, which runs in the same container. usage: set_web_command COMMAND
set_web_command() {
  local quote="'"
  printf -- "---\ndefault_process_types:\n  web: '%s'\n" "${1//"$quote"/"$quote$quote"}" > "$(release_file)"
}

release_file() { printf '/tmp/%s-buildpack-release-step.yml' "${BUILDPACK_DIR##*/}"; }

# The body of every bin/release.
print_release() {
  if [[ -f $(release_file) ]]; then cat "$(release_file)"; else printf -- '---\ndefault_process_types: {}\n'; fi
}

# Installs render-nginx-conf for the app's start.
supply_nginx_renderer() {
  mkdir -p "$DEP/bin"
  install -m 0755 "$BUILDPACK_DIR/../common/render-nginx-conf" "$DEP/bin/render-nginx-conf"
}

# The version of the stack's nginx.
nginx_version() { nginx -v 2>&1 | grep -oE '[0-9.]+' | head -n 1; }

# Prints a YAML file as JSON. usage: yaml_as_json FILE
yaml_as_json() {
  /tmp/lifecycle/yaml2json < "$1" 2> /dev/null || fail "${1##*/} is not valid YAML"
}
