# shellcheck shell=bash
# What runs the app, by its kind. Uses BUILD, DEP, IDX and the settings; app is the JSON that lib/app.py prints.
# shellcheck disable=SC2034,SC2154  # variables are shared with the other libraries

# usage: of_app JQ_FILTER
of_app() { jq -r "$1 // \"\"" <<< "$app"; }

# Sets app and kind. Fails when there is nothing to run, before anything is downloaded.
inspect_app() {
  local main
  main=$(setting JAVA_MAIN.java_main_class)
  [[ $main != *[[:space:]]* ]] || fail "JBP_CONFIG_JAVA_MAIN: '$main' is not the name of a class"
  app=$(python3 "$BUILDPACK_DIR/lib/app.py" "$BUILD" "$main") || fail 'the app cannot be read'
  kind=$(of_app .kind)
  case $kind in
    source)
      fail "this is source code ($(of_app .file)): the Java buildpack runs built apps, push the jar, the war or the distribution" \
        'For example: mvn package, then cf push -p target/NAME.jar; or gradle build, then cf push -p build/libs/NAME.jar.'
      ;;
    'Spring Boot CLI') fail 'this is an app for the Spring Boot CLI (Groovy classes without a main), which this buildpack does not have' \
      'Add a script or a main method, or build a jar: cf push -p build/libs/NAME.jar.' ;;
    none) fail "nothing to run: $(of_app .why)" 'Push a jar, a war or a distribution, or name the class: JBP_CONFIG_JAVA_MAIN '"'{ java_main_class: NAME }'"'.' ;;
  esac
  note "Detected container: $kind"
}

# An app that was compiled for a newer Java fails at its start with a stack trace: better here.
check_release() {
  local release
  release=$(of_app .release)
  ((release <= java_release)) && return 0
  fail "$(of_app .compiled) was compiled for Java $release, the app would run on Java $java_release: set JBP_CONFIG_OPEN_JDK_JRE to '{ jre: { version: $release.+ } }'" \
    "For example: cf set-env APP JBP_CONFIG_OPEN_JDK_JRE '{ jre: { version: $release.+ } }', and cf restage APP."
}

# What options.py and the memory calculator read at the app's start. usage: write_settings [OPTION…]
write_settings() {
  local configured count=''
  # A text is split as a shell does it, then each value is quoted again.
  configured=$(jq -c '.JAVA_OPTS.java_opts // []' <<< "$settings" | python3 -c '
import json, shlex, sys
value = json.load(sys.stdin)
words = shlex.split(value) if isinstance(value, str) else [str(word) for word in value]
print(json.dumps([word if word == "" or all(c not in " \t\n\"\x27\\" for c in word) else "\"" + word.replace("\\", "\\\\").replace("\"", "\\\"") + "\"" for word in words]))
') || fail 'JBP_CONFIG_JAVA_OPTS: java_opts has a quote that does not end'
  printf '%s\n' "$@" | jq -Rn --argjson configured "$configured" --argjson environment "$(enabled JAVA_OPTS.from_environment true && echo true || echo false)" \
    '{options: [inputs | select(. != "")], configured: $configured, from_environment: $environment}' > "$DEP/java/options.json"
  count=$(number memory_calculator.class_count "$(($(of_app .classes) + (java_release > 8 ? 42215 : 0)))")
  [[ -n $(setting "$jre_settings.memory_calculator.class_count") ]] || count=$((count * 35 / 100))
  jq -n --argjson classes "$count" --argjson threads "$(number memory_calculator.stack_threads 250)" \
    --argjson headroom "$(number memory_calculator.headroom 0)" \
    '{class_count: $classes, stack_threads: $threads, headroom: $headroom}' > "$DEP/java/memory.json"
  note "Loaded Classes: $count, Threads: $(jq .stack_threads "$DEP/java/memory.json"), JAVA_OPTS: '${JAVA_OPTS:-}'"
}

# usage: number PATH DEFAULT
number() {
  local value
  value=$(setting "$jre_settings.$1")
  value=${value:-$2}
  [[ $value =~ ^[0-9]{1,7}$ ]] || fail "JBP_CONFIG_$jre_settings: $1 is not a number: $value"
  printf '%s' "$value"
}

# Stores the start command, for the web process and for tasks.
# usage: set_java_command COMMAND
set_java_command() {
  local command quote="'"
  command='CALCULATED_MEMORY=$(java-buildpack-memory-calculator) && echo JVM Memory Configuration: $CALCULATED_MEMORY'
  command+=' && export JAVA_OPTS="$JAVA_OPTS $CALCULATED_MEMORY" && exec '$1
  command=${command//"$quote"/"$quote$quote"}
  printf -- "---\ndefault_process_types:\n  web: '%s'\n  task: '%s'\n" "$command" "$command" > "$(release_file)"
}

# usage: start_main. Also of Spring Boot.
start_main() {
  local classpath='$HOME/.' entry arguments jar main
  arguments=$(setting JAVA_MAIN.arguments)
  jar=$(of_app .jar) main=$(of_app .main)
  if [[ -n $jar ]]; then
    set_java_command "javaexec \"\$JAVA_HOME/bin/java\" -jar $(printf '%q' "$jar")${arguments:+ $arguments}"
    return
  fi
  [[ -n $main ]] || fail 'no main class: META-INF/MANIFEST.MF has no Main-Class' "Name it: cf set-env APP JBP_CONFIG_JAVA_MAIN '{ java_main_class: NAME }'"
  if [[ $kind != 'Spring Boot' ]]; then
    while IFS= read -r entry; do
      [[ -z $entry ]] || classpath+=":\$HOME/$entry"
    done < <(jq -r '.path[]?' <<< "$app")
    [[ ! -d $BUILD/BOOT-INF/classes || $main == *.boot.loader.* ]] || classpath+=':$HOME/BOOT-INF/classes:$HOME/BOOT-INF/lib/*'
    [[ ! -d $BUILD/lib ]] || classpath+=':$HOME/lib/*'
    compgen -G "$BUILD/*.jar" > /dev/null && classpath+=':$HOME/*'
  fi
  set_java_command "javaexec \"\$JAVA_HOME/bin/java\" -cp \"$classpath\${CLASSPATH:+:\$CLASSPATH}\" $main${arguments:+ $arguments}"
}

# The script of a distribution takes JAVA_OPTS from the environment.
start_script() {
  local script arguments
  script=$(of_app .script)
  arguments=$(setting DIST_ZIP.arguments)
  [[ $kind != 'Play Framework' ]] || arguments="-Dhttp.port=\$PORT${arguments:+ $arguments}"
  [[ $(of_app .old) == '' ]] || arguments="\$JAVA_OPTS $arguments"
  chmod +x "$BUILD/$script"
  set_java_command "\"\$HOME/$script\"${arguments:+ $arguments}"
}
