# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # variables are shared with the other libraries
# The JBP_CONFIG_* variables, which hold YAML. Reads BUILDPACK_DIR.

settings='{}'

# Parses all of them. usage: read_settings
read_settings() {
  local variable text json
  for variable in "${!JBP_CONFIG_@}"; do
    text=${!variable}
    # Some manifests quote the whole value once more.
    [[ ! $text =~ ^[[:space:]]*\'(.*)\'[[:space:]]*$ ]] || text=${BASH_REMATCH[1]}
    [[ ! $text =~ ^[[:space:]]*\"(.*)\"[[:space:]]*$ ]] || text=${BASH_REMATCH[1]}
    # A list of maps is an older way of writing: [from_environment: false, java_opts: …].
    json=$(/tmp/lifecycle/yaml2json <<< "$text" 2> /dev/null | jq -ec 'if type == "array" then add else . end | objects') ||
      fail "$variable is not a YAML map: ${!variable}" "Write it like this: cf set-env APP $variable '{ name: value }'"
    settings=$(jq -c --arg name "${variable#JBP_CONFIG_}" --argjson value "$json" '.[$name] = $value' <<< "$settings")
  done
}

# Prints a setting, nothing when it is not set. usage: setting OPEN_JDK_JRE.jre.version
setting() {
  jq -r --arg path "$1" 'getpath($path | split(".")) // "" | if type == "array" then map(tostring) | join(" ") else . end' <<< "$settings" 2> /dev/null ||
    fail "JBP_CONFIG_${1%%.*}: ${1#*.} is not where it should be" "JBP_CONFIG_${1%%.*} is a map of maps, like '{ jre: { version: 17.+ } }'."
}

# usage: enabled PATH [DEFAULT]
enabled() {
  local value
  value=$(setting "$1")
  [[ ${value:-${2:-false}} =~ ^(true|enabled|yes|on)$ ]]
}

# Sets jre_settings, the name under which the JRE is configured. All JREs here are OpenJDK, so that its other builds' names are taken, too.
choose_jre_settings() {
  local name
  jre_settings=OPEN_JDK_JRE
  for name in OPENJDK SAP_MACHINE_JRE ZULU_JRE GRAAL_VM_JRE IBM_JRE ORACLE_JRE ZING_JRE; do
    if jq -e --arg name "$name" 'has($name)' <<< "$settings" > /dev/null; then
      jre_settings=$name
      [[ $name == OPENJDK ]] || warn "JBP_CONFIG_$name: OpenJDK is the only JRE here, the app runs on it"
    fi
  done
}

# Mentions each setting that has no effect, so that a misspelled name does not pass unseen.
report_settings() {
  local name path known mentioned=' '
  known=$(sed "s/^OPEN_JDK_JRE\./$jre_settings./" "$BUILDPACK_DIR/lib/settings.list")
  while read -r name path; do
    [[ $mentioned != *" $name "* ]] || continue
    if [[ $'\n'$known != *$'\n'$name.* ]]; then
      warn "JBP_CONFIG_$name has no effect: this buildpack has nothing of that name"
      mentioned+="$name "
    elif [[ -n $path ]] && ! grep -qxF "$name.$path" <<< "$known"; then
      warn "JBP_CONFIG_$name: $path has no effect"
    fi
  done < <(jq -r 'to_entries[] | .key as $name | [.value | paths(type != "object") | map(strings) | join(".")] + [""] | unique | reverse[]
    | "\($name) \(.)"' <<< "$settings")
}
