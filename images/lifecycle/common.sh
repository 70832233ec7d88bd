# shellcheck shell=bash
# Shared by builder, launcher and shell: the environment that Cloud Foundry derives from the one the platform set.
# Requires only bash and coreutils, because launcher also runs on third-party stack images.

# Adds the values of the running instance to VCAP_APPLICATION. Tasks have no index and no port.
enrich_vcap_application() {
  local json=${VCAP_APPLICATION:-} added='"host":"0.0.0.0"' guid=${INSTANCE_GUID:-${CF_INSTANCE_GUID:-}}
  local index=${INSTANCE_INDEX:-${CF_INSTANCE_INDEX:-}} object='^[[:space:]]*\{(.*)\}[[:space:]]*$'
  [[ $guid =~ ^[A-Za-z0-9._-]+$ ]] && added+=",\"instance_id\":\"$guid\""
  [[ $index =~ ^[0-9]+$ ]] && added+=",\"instance_index\":$((10#$index))"
  [[ ${PORT:-} =~ ^[0-9]+$ ]] && added+=",\"port\":$((10#$PORT))"
  # Appended before the closing brace, without parsing the object; of two equal keys the last one wins.
  [[ ${json:-"{}"} =~ $object ]] || return 0
  json=${BASH_REMATCH[1]}
  [[ $json =~ ^[[:space:]]*$ ]] || added="$json,$added"
  export VCAP_APPLICATION="{$added}"
}

# Sets DATABASE_URL from the first bound service whose uri is of a database that Rails supports.
derive_database_url() {
  local services=${VCAP_SERVICES:-} uri
  [[ -n ${VCAP_SERVICES_FILE_PATH:-} && -r ${VCAP_SERVICES_FILE_PATH:-} ]] && services=$(<"$VCAP_SERVICES_FILE_PATH")
  # Most apps have no database and need no JSON parser started.
  [[ $services =~ (mysql2?|postgres(ql)?):(//|\\/\\/) ]] || return 0
  command -v jq > /dev/null || return 0
  uri=$(jq -r 'first(.[][]?.credentials?.uri? | strings | select(test("^(mysql2?|postgres(ql)?)://"))) // empty
    | sub("^mysql:"; "mysql2:") | sub("^postgresql:"; "postgres:")' <<< "$services" 2> /dev/null) || return 0
  [[ -z $uri ]] || export DATABASE_URL=$uri
}

# Sets CF_INSTANCE_INTERNAL_IP: known only once the container runs, from Docker's entry for the host name.
derive_internal_ip() {
  local ip name rest
  [[ -z ${CF_INSTANCE_INTERNAL_IP:-} && -r /etc/hosts ]] || return 0
  while read -r ip name rest; do
    [[ $name == "$HOSTNAME" ]] && export CF_INSTANCE_INTERNAL_IP=$ip
  done < /etc/hosts
  return 0
}

# usage: set_app_environment APP_DIR (absolute)
set_app_environment() {
  local home=${1%/*}
  export HOME=$1 TMPDIR=$home/tmp DEPS_DIR=$home/deps
  derive_internal_ip
  enrich_vcap_application
  derive_database_url
}

# The hooks of the buildpacks and of the app, in CF's order; relative to the app's folder, which is the current one.
profile_scripts() {
  local script
  for script in ../profile.d/* .profile.d/*; do
    [[ -f $script ]] && printf '%s\n' "$script"
  done
  return 0
}
