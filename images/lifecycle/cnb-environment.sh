# shellcheck shell=bash
# The environment that layers give the processes of an app. Requires only bash: cnb-launcher also runs on third-party stack images.
# Uses cnb-launcher's variables: layers buildpacks process_type; and its function fail.
# shellcheck disable=SC2154

# All layers of all buildpacks, in order. The folders of a buildpack's layers come before the files of all its layers.
add_layers() {
  local buildpack layer
  for buildpack in "${buildpacks[@]}"; do
    for layer in "$layers/$buildpack"/*/; do
      [[ ! -d ${layer}bin ]] || prepend PATH "${layer}bin" :
      [[ ! -d ${layer}lib ]] || prepend LD_LIBRARY_PATH "${layer}lib" :
    done
    for layer in "$layers/$buildpack"/*/; do
      add_folder "${layer}env"
      add_folder "${layer}env.launch"
      [[ -z $process_type ]] || add_folder "${layer}env.launch/$process_type"
    done
  done
}

# Applies the files of one folder: NAME.ACTION with the value; without an action it replaces. usage: add_folder FOLDER
add_folder() {
  local file name action value between
  for file in "$1"/*; do
    [[ -f $file ]] || continue
    name=${file##*/} action=''
    [[ $name != *.* ]] || action=${name#*.} name=${name%%.*}
    if [[ ! $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]]; then
      echo "launcher: bash cannot set the variable $name of ${1%/*}: left out" >&2
      continue
    fi
    read_file value "$file"
    between=''
    [[ ! -f $1/$name.delim ]] || read_file between "$1/$name.delim"
    case $action in
      prepend) prepend "$name" "$value" "$between" ;;
      append) export "$name=${!name:+${!name}$between}$value" ;;
      default) [[ -n ${!name:-} ]] || export "$name=$value" ;;
      '' | override) export "$name=$value" ;;
    esac
  done
}

# usage: prepend NAME VALUE BETWEEN
prepend() {
  export "$1=$2${!1:+$3${!1}}"
}

# Puts a file's content into a variable, with the line breaks at its end. usage: read_file VARIABLE FILE
read_file() {
  IFS= read -r -d '' "$1" < "$2" || true
}

# Runs the layers' exec.d programs, whose standard output is the log and whose third file is TOML: variables to set.
run_exec_d() {
  local buildpack layer program output
  for buildpack in "${buildpacks[@]}"; do
    for layer in "$layers/$buildpack"/*/; do
      for program in "$layer"exec.d/* ${process_type:+"$layer"exec.d/"$process_type"/*}; do
        [[ -f $program ]] || continue
        { output=$("$program" 3>&1 >&4 4>&-); } 4>&1 || fail "$program failed"
        set_from_toml "$output" || fail "$program wrote what is not a table of texts: ${toml_rest%%$'\n'*}"
      done
    done
  done
}

# Sets variables from TOML: `NAME = TEXT` lines, with any of TOML's four kinds of texts. usage: set_from_toml TOML
set_from_toml() {
  local name space=$'^[ \t\r\n]*' value
  toml_rest=$1
  while true; do
    [[ $toml_rest =~ $space ]] && toml_rest=${toml_rest:${#BASH_REMATCH[0]}}
    [[ -n $toml_rest ]] || return 0
    if [[ $toml_rest == '#'* ]]; then
      [[ $toml_rest == *$'\n'* ]] || return 0
      toml_rest=${toml_rest#*$'\n'}
      continue
    fi
    [[ $toml_rest =~ ^[\"\']?([A-Za-z_][A-Za-z0-9_]*)[\"\']?[[:blank:]]*=[[:blank:]]* ]] || return 1
    name=${BASH_REMATCH[1]} toml_rest=${toml_rest:${#BASH_REMATCH[0]}}
    take_text || return 1
    [[ $toml_rest =~ ^[[:blank:]]*(\#[^$'\n']*)?$'\r'?($'\n'|$) ]] || return 1
    toml_rest=${toml_rest:${#BASH_REMATCH[0]}}
    export "$name=$value"
  done
}

# Takes a text from the front of toml_rest into value.
take_text() {
  local delimiter raw
  case $toml_rest in
    \"\"\"*) delimiter='"""' ;;
    "'''"*) delimiter="'''" ;;
    \"*) delimiter='"' ;;
    "'"*) delimiter="'" ;;
    *) return 1 ;;
  esac
  toml_rest=${toml_rest:${#delimiter}}
  [[ ${#delimiter} == 1 ]] || { toml_rest=${toml_rest#$'\r'}; toml_rest=${toml_rest#$'\n'}; }
  raw=''
  # The end is the first delimiter that no backslash precedes; backslashes mean nothing in literal texts.
  while [[ $toml_rest == *"$delimiter"* ]]; do
    raw+=${toml_rest%%"$delimiter"*}
    toml_rest=${toml_rest#*"$delimiter"}
    if [[ $delimiter == "'"* ]] || ! ends_in_escape "$raw"; then
      # Up to two more quotes belong to the text.
      while [[ ${#delimiter} == 3 && $toml_rest == "${delimiter:0:1}"* ]]; do
        raw+=${delimiter:0:1} toml_rest=${toml_rest:1}
      done
      [[ ${#delimiter} == 3 || $raw != *$'\n'* ]] || return 1
      unescape "$raw" "$delimiter"
      return
    fi
    # Only the first quote was escaped.
    raw+=${delimiter:0:1} toml_rest=${delimiter:1}$toml_rest
  done
  return 1
}

ends_in_escape() {
  local text=$1 count=0
  while [[ $text == *\\ ]]; do
    text=${text%\\} count=$((count + 1))
  done
  ((count % 2))
}

# usage: unescape RAW DELIMITER
unescape() {
  local rest=$1 letter continued=$'^[ \t\r]*\n[ \t\r\n]*'
  value=''
  if [[ $2 == "'"* ]]; then
    value=$rest
    return 0
  fi
  while [[ $rest == *\\* ]]; do
    value+=${rest%%\\*}
    rest=${rest#*\\}
    letter=${rest:0:1}
    case $letter in
      b | t | n | f | r) printf -v letter '%b' "\\$letter" ;;
      e) letter=$'\e' ;;
      \" | \\) ;;
      u) [[ ${rest:1:4} =~ ^[0-9A-Fa-f]{4}$ ]] && printf -v letter '%b' "\\u${rest:1:4}" && rest=${rest:4} || return 1 ;;
      U) [[ ${rest:1:8} =~ ^[0-9A-Fa-f]{8}$ ]] && printf -v letter '%b' "\\U${rest:1:8}" && rest=${rest:8} || return 1 ;;
      *)
        # A backslash at the end of a line: the line break and what is blank after it are left out.
        [[ $rest =~ $continued ]] || return 1
        rest=${rest:${#BASH_REMATCH[0]}}
        continue
        ;;
    esac
    value+=$letter
    rest=${rest:1}
  done
  value+=$rest
}
