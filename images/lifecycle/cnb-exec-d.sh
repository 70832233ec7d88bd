# shellcheck shell=bash
# The layers' exec.d programs, which print variables for the processes of an app. Sourced by cnb-environment.sh, whose rule for names holds here, too.
# shellcheck disable=SC2154

# Runs them: their standard output is the log, and their third file is TOML: variables to set.
run_exec_d() {
  local _cflite_program _cflite_output _cflite_rest
  local -a _cflite_programs
  mapfile -d '' -t _cflite_programs < <(list_programs)
  for _cflite_program in "${_cflite_programs[@]}"; do
    prepare_start
    { _cflite_output=$("${_cflite_start[@]}" "$_cflite_program" 3>&1 >&4 4>&-); } 4>&1 || fail "$_cflite_program failed"
    set_from_toml "$_cflite_output" || fail "$_cflite_program wrote what is not a table of texts: ${_cflite_rest%%$'\n'*}"
  done
}

# Prints them in order. In a subshell of its own, as list_environment.
list_programs() {
  local buildpack layer program
  LC_ALL=C
  for buildpack in "${_cflite_buildpacks[@]}"; do
    for layer in "$_cflite_layers/$buildpack"/*/; do
      for program in "$layer"exec.d/* ${_cflite_type:+"$layer"exec.d/"$_cflite_type"/*}; do
        [[ ! -f $program ]] || printf '%s\0' "$program"
      done
    done
  done
}

# Sets variables from TOML: `NAME = TEXT` lines, with bare or quoted names and any of TOML's four kinds of texts. usage: set_from_toml TOML
set_from_toml() {
  local _cflite_name _cflite_text _cflite_space=$'^[ \t\r\n]*'
  _cflite_rest=$1
  while true; do
    [[ $_cflite_rest =~ $_cflite_space ]] && _cflite_rest=${_cflite_rest:${#BASH_REMATCH[0]}}
    [[ -n $_cflite_rest ]] || return 0
    if [[ $_cflite_rest == '#'* ]]; then
      [[ $_cflite_rest == *$'\n'* ]] || return 0
      _cflite_rest=${_cflite_rest#*$'\n'}
      continue
    fi
    take_name || return 1
    [[ $_cflite_rest =~ ^[[:blank:]]*=[[:blank:]]* ]] || return 1
    _cflite_rest=${_cflite_rest:${#BASH_REMATCH[0]}}
    take_text || return 1
    [[ $_cflite_rest =~ ^[[:blank:]]*(\#[^$'\n']*)?$'\r'?($'\n'|$) ]] || return 1
    _cflite_rest=${_cflite_rest:${#BASH_REMATCH[0]}}
    change_variable "$_cflite_name" override "$_cflite_text"
  done
}

# Takes a key from the front of _cflite_rest into _cflite_name. In quotes it is a text of one line.
take_name() {
  if [[ $_cflite_rest == [\"\']* ]]; then
    [[ $_cflite_rest != '"""'* && $_cflite_rest != "'''"* ]] && take_text || return 1
    _cflite_name=$_cflite_text
  else
    [[ $_cflite_rest =~ ^[A-Za-z0-9_-]+ ]] || return 1
    _cflite_name=${BASH_REMATCH[0]} _cflite_rest=${_cflite_rest:${#BASH_REMATCH[0]}}
  fi
}

# Takes a text from the front of _cflite_rest into _cflite_text.
take_text() {
  local delimiter raw
  case $_cflite_rest in
    \"\"\"*) delimiter='"""' ;;
    "'''"*) delimiter="'''" ;;
    \"*) delimiter='"' ;;
    "'"*) delimiter="'" ;;
    *) return 1 ;;
  esac
  _cflite_rest=${_cflite_rest:${#delimiter}}
  [[ ${#delimiter} == 1 ]] || { _cflite_rest=${_cflite_rest#$'\r'}; _cflite_rest=${_cflite_rest#$'\n'}; }
  raw=''
  # The end is the first delimiter that no backslash precedes; backslashes mean nothing in literal texts.
  while [[ $_cflite_rest == *"$delimiter"* ]]; do
    raw+=${_cflite_rest%%"$delimiter"*}
    _cflite_rest=${_cflite_rest#*"$delimiter"}
    if [[ $delimiter == "'"* ]] || ! ends_in_escape "$raw"; then
      # Up to two more quotes belong to the text.
      while [[ ${#delimiter} == 3 && $_cflite_rest == "${delimiter:0:1}"* ]]; do
        raw+=${delimiter:0:1} _cflite_rest=${_cflite_rest:1}
      done
      [[ ${#delimiter} == 3 || $raw != *$'\n'* ]] || return 1
      unescape "$raw" "$delimiter"
      return
    fi
    # Only the first quote was escaped.
    raw+=${delimiter:0:1} _cflite_rest=${delimiter:1}$_cflite_rest
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
  _cflite_text=''
  if [[ $2 == "'"* ]]; then
    _cflite_text=$rest
    return 0
  fi
  while [[ $rest == *\\* ]]; do
    _cflite_text+=${rest%%\\*}
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
    _cflite_text+=$letter
    rest=${rest:1}
  done
  _cflite_text+=$rest
}
