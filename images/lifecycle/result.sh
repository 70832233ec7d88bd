# shellcheck shell=bash
# The result of staging for the platform and the launcher: processes, metadata of the buildpacks, start command.
# Uses builder's variables: app deps keys detect_output release lifecycle.
# shellcheck disable=SC2154

# Prints a YAML map as one line of JSON; fails and names the file when it isn't one.
# usage: yaml_map FILE [--nested-values]
yaml_map() {
  local json
  if ! json=$("$lifecycle/yaml2json" "${@:2}" < "$1" 2>&1); then
    blame "${1##*/} is not valid YAML: ${json##*$'\n'}"
    return 1
  fi
  [[ $json == \{* ]] || { blame "${1##*/} is not a map"; return 1; }
  printf '%s\n' "$json"
}

# One line of JSON for each buildpack: its config.yml.
print_configs() {
  local index config
  for index in "${!keys[@]}"; do
    config=$deps/$(padded "$index")/config.yml
    if [[ -f $config ]]; then "$lifecycle/yaml2json" --nested-values < "$config" 2> /dev/null | grep -x '{.*}'; else echo '{}'; fi || echo '{}'
  done
}

# One line of JSON for each source of processes, in order of increasing precedence.
print_sources() {
  local index file
  for index in "${!keys[@]}"; do
    file=$deps/$(padded "$index")/launch.yml
    [[ ! -f $file ]] || yaml_map "$file" || return 1
  done
  printf '%s\n' "$release"
  [[ ! -f $app/Procfile ]] || { printf '{"default_process_types":' && yaml_map "$app/Procfile" && echo '}'; }
}

# Writes /tmp/result.json and prints the content of staging_info.yml, which the launcher reads as one line of JSON.
# usage: write_result [SOURCES]
write_result() {
  local output complaint=/tmp/complaint
  # A single jq for all of it: starting one takes longer than its work here.
  output=$({ print_configs; printf '%s\n' "${1:-}"; } |
    jq -cs --arg detected "$detect_output" '
      ($ARGS.positional | length) as $count | .[:$count] as $configs | .[$count:] as $sources
      | def text($of): if . == null then "" elif type == "object" or type == "array" then error("the command of \($of) is not a text") else tostring end;
        def number($of): tonumber? // error("the memory of \($of) is not a number: \(.)");
      [$sources[] | (.processes // [])[], ((.default_process_types // {}) | to_entries[] | {type: .key, command: .value})]
      | reduce .[] as $process ({types: {}, sidecars: {}};
          ($process.platforms.cloudfoundry.sidecar_for // []) as $for
          | if ($for | length) > 0 then
              .sidecars[$process.type] = {name: $process.type, process_types: $for, command: ($process.command | text($process.type))}
                + (if $process.limits.memory then {memory: ($process.limits.memory | number($process.type))} else {} end)
            else .types[$process.type] = ($process.command | text($process.type)) end)
      | [range($count) as $i | $configs[$i] | {key: $ARGS.positional[$i], name: (.name // "" | tostring)}
          + (if .version != null then {version: (.version | tostring)} else {} end)
          + (if .config != null then {config} else {} end)
          + ((.config.output_metadata? // .output_metadata) as $metadata | if $metadata then {output_metadata: $metadata} else {} end)] as $buildpacks
      | (if ($buildpacks[-1].name // "") != "" then $buildpacks[-1].name else $detected end) as $detected
      | {process_types: .types, processes: [.types | to_entries[] | {type: .key, command: .value}], sidecars: [.sidecars[]],
          execution_metadata: "", lifecycle_type: "buildpack",
          lifecycle_metadata: {buildpack_key: ($buildpacks[-1].key // ""), detected_buildpack: $detected, buildpacks: $buildpacks}},
        {detected_buildpack: $detected, start_command: (.types.web // "")}
          + (if $buildpacks[-1].config then {config: $buildpacks[-1].config} else {} end)
    ' --args "${keys[@]}" 2> "$complaint") || {
    # A failed build has already reported its cause.
    (($#)) && blame "the processes of the app cannot be read: $(sed 's/^jq: error ([^)]*): //' "$complaint")"
    return 1
  }
  printf '%s\n' "${output%$'\n'*}" > /tmp/result.json
  printf '%s\n' "${output##*$'\n'}"
}
