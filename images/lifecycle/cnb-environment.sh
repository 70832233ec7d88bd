# shellcheck shell=bash
# The environment that layers give the processes of an app. Requires only bash and coreutils: cnb-launcher also runs on third-party stack images.
# Uses cnb-launcher's variables: _cflite_layers _cflite_buildpacks _cflite_type; and its function fail.
# Layers set variables of any name. Where one is set or read, no variable of ours is in reach that does not begin with _cflite_.
# shellcheck disable=SC2154
# shellcheck source-path=SCRIPTDIR
source "${BASH_SOURCE[0]%/*}/cnb-exec-d.sh"

# Variables that bash cannot hold, or keeps for itself; the process gets them by with_others.
declare -A _cflite_others=()

# All layers of all buildpacks, in order.
add_layers() {
  local _cflite_at
  local -a _cflite_found
  mapfile -d '' -t _cflite_found < <(list_environment)
  for ((_cflite_at = 0; _cflite_at < ${#_cflite_found[@]}; _cflite_at += 2)); do
    if [[ -n ${_cflite_found[_cflite_at]} ]]; then
      change_variable "${_cflite_found[_cflite_at]}" prepend "${_cflite_found[_cflite_at + 1]}" :
    else
      add_file "${_cflite_found[_cflite_at + 1]}"
    fi
  done
}

# Prints pairs: a variable and a folder to put before its value, or nothing and a file of a layer. The folders of a buildpack's layers come before
# the files of all its layers. In a subshell of its own: the order is that of bytes, whatever the app's language.
list_environment() {
  local buildpack layer file
  LC_ALL=C
  for buildpack in "${_cflite_buildpacks[@]}"; do
    for layer in "$_cflite_layers/$buildpack"/*/; do
      [[ ! -d ${layer}bin ]] || printf '%s\0' PATH "${layer}bin"
      [[ ! -d ${layer}lib ]] || printf '%s\0' LD_LIBRARY_PATH "${layer}lib"
    done
    for layer in "$_cflite_layers/$buildpack"/*/; do
      for file in "$layer"env/* "$layer"env.launch/* ${_cflite_type:+"$layer"env.launch/"$_cflite_type"/*}; do
        [[ ! -f $file ]] || printf '%s\0' '' "$file"
      done
    done
  done
}

# Applies a file of a layer: NAME.ACTION with the value; without an action it replaces. usage: add_file FILE
add_file() {
  local _cflite_name=${1##*/} _cflite_action='' _cflite_text _cflite_between=''
  [[ $_cflite_name != *.* ]] || _cflite_action=${_cflite_name#*.} _cflite_name=${_cflite_name%%.*}
  read_file _cflite_text "$1"
  [[ ! -f ${1%/*}/$_cflite_name.delim ]] || read_file _cflite_between "${1%/*}/$_cflite_name.delim"
  change_variable "$_cflite_name" "$_cflite_action" "$_cflite_text" "$_cflite_between"
}

# Puts a file's content into a variable, with the line breaks at its end. usage: read_file VARIABLE FILE
read_file() {
  IFS= read -r -d '' "$1" < "$2" || true
}

# usage: change_variable NAME ACTION VALUE [BETWEEN]
change_variable() {
  local _cflite_old
  if [[ -z $1 || $1 == *=* ]]; then
    echo "launcher: no variable can have the name '$1': left out" >&2
    return 0
  fi
  look_up "$1"
  case $2 in
    prepend) set_variable "$1" "$3${_cflite_old:+${4:-}$_cflite_old}" ;;
    append) set_variable "$1" "${_cflite_old:+$_cflite_old${4:-}}$3" ;;
    default) [[ -n $_cflite_old ]] || set_variable "$1" "$3" ;;
    '' | override) set_variable "$1" "$3" ;;
  esac
}

# usage: set_variable NAME VALUE
set_variable() {
  if bash_can_hold "$1"; then export "$1=$2"; else _cflite_others[$1]=$2; fi
}

# Puts the present value of a variable into _cflite_old. usage: look_up NAME
look_up() {
  if bash_can_hold "$1"; then
    _cflite_old=${!1:-}
  else
    _cflite_old=${_cflite_others[$1]-$(printenv -- "$1")}
  fi
}

bash_can_hold() {
  case $1 in
    [0-9]* | *[!A-Za-z0-9_]*) return 1 ;;
    _ | _cflite_* | BASHOPTS | BASHPID | BASH_* | EUID | GROUPS | IFS | LINENO | PPID | RANDOM | SECONDS | SHELLOPTS | UID) return 1 ;;
  esac
}

# Puts into _cflite_start what comes before a command so that it gets the other variables: nothing when there are none. nice only starts it: env
# itself would take a path with a = for a variable.
prepare_start() {
  local _cflite_name
  _cflite_start=()
  ((${#_cflite_others[@]})) || return 0
  for _cflite_name in "${!_cflite_others[@]}"; do
    _cflite_start+=("$_cflite_name=${_cflite_others[$_cflite_name]}")
  done
  _cflite_start=(env -- "${_cflite_start[@]}" nice -n 0)
}
