# shellcheck shell=bash
# What staging tells the platform and the launcher: processes, metadata of the buildpacks, start command.
# Uses builder's variables: app deps keys detect_output release lifecycle.
# shellcheck disable=SC2154

# Prints the file's YAML as JSON; fails with a message when it isn't a map.
# usage: yaml_map FILE
yaml_map() {
  local json problem
  if ! json=$("$lifecycle/yaml2json" < "$1" 2>&1); then
    problem=${json##*$'\n'}
    echo "${1##*/} is not valid YAML: ${problem:-unknown reason}" >&2
    return 1
  fi
  jq -ce 'if type == "object" then . else error("not a map") end' <<< "$json" 2> /dev/null ||
    { echo "${1##*/} is not a map of process types to commands" >&2; return 1; }
}

# Prints {process_types, processes, sidecars}: launch.yml of all buildpacks in order, or the final one's release, then the Procfile.
# A later entry replaces an earlier one of the same type.
merge_processes() {
  local index file sources=''
  for index in "${!keys[@]}"; do
    file=$deps/$(padded "$index")/launch.yml
    [[ -f $file ]] || continue
    sources+=$(yaml_map "$file") || return 1
  done
  sources+=$(jq -c '{processes: [.default_process_types // {} | to_entries[] | {type: .key, command: .value}]}' <<< "$release") || return 1
  if [[ -f $app/Procfile ]]; then
    sources+=$(yaml_map "$app/Procfile" | jq -c '{processes: [to_entries[] | {type: .key, command: .value}]}') || return 1
  fi
  jq -cs '
    def text: if . == null then "" elif type == "string" then . elif type == "object" or type == "array" then error("a command is not a text") else tostring end;
    [.[].processes // [] | .[]]
    | reduce .[] as $process ({process_types: {}, sidecars: {}};
        ($process.platforms.cloudfoundry.sidecar_for // []) as $for
        | if ($for | length) > 0 then
            .sidecars[$process.type] = {name: $process.type, process_types: $for, command: ($process.command | text)}
              + (if $process.limits.memory then {memory: $process.limits.memory} else {} end)
          else .process_types[$process.type] = ($process.command | text) end)
    | {process_types, processes: [.process_types | to_entries[] | {type: .key, command: .value}], sidecars: [.sidecars[]]}
  ' <<< "$sources" || { echo 'The processes of the app can not be read: a command is not a text.' >&2; return 1; }
}

# One line of JSON for each buildpack: its key and what its config.yml says.
describe_buildpacks() {
  local index config
  for index in "${!keys[@]}"; do
    config=$deps/$(padded "$index")/config.yml
    { if [[ -f $config ]]; then "$lifecycle/yaml2json" < "$config"; else echo '{}'; fi; } |
      jq -c --arg key "${keys[index]}" '{key: $key, name: (.name // "" | tostring)}
        + (if .version != null then {version: (.version | tostring)} else {} end)
        + (if .config != null then {config} else {} end)
        + (if .config.output_metadata != null then {output_metadata: .config.output_metadata}
           elif .output_metadata != null then {output_metadata} else {} end)'
  done
}

# usage: write_result PROCESSES
write_result() {
  local buildpacks
  buildpacks=$(describe_buildpacks) || buildpacks=''
  jq -cs --arg detected "$detect_output" --argjson processes "$1" '
    {process_types: {}, processes: [], sidecars: []} + $processes
    + {execution_metadata: "", lifecycle_type: "buildpack", lifecycle_metadata: {
        buildpack_key: (.[-1].key // ""),
        detected_buildpack: (if (.[-1].name // "") != "" then .[-1].name else $detected end),
        buildpacks: .}}' <<< "$buildpacks" > /tmp/result.json
}

# The launcher reads this as one line of JSON.
write_staging_info() {
  jq -c '{detected_buildpack: .lifecycle_metadata.detected_buildpack, start_command: (.process_types.web // "")}
    + (.lifecycle_metadata.buildpacks[-1].config // null | if . then {config: .} else {} end)' /tmp/result.json
}
