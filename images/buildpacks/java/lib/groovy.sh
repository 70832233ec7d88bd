# shellcheck shell=bash
# Scripts in Groovy. The compiler and its libraries are artifacts of Maven Central. Uses DEP and the settings.
# shellcheck disable=SC2154

readonly GROOVY_MODULES='groovy-json groovy-xml groovy-templates groovy-sql groovy-datetime groovy-dateutil groovy-nio'

install_groovy() {
  local asked prefix version module missing=''
  asked=$(setting GROOVY.version)
  prefix=$(version_prefix "${asked:-4.0.+}") || fail "JBP_CONFIG_GROOVY asks for Groovy '$asked', which is not a version"
  kept_list groovy maven_versions org/apache/groovy/groovy || fail "Groovy cannot be looked up: $fetch_error" 'Stage once with a network: what was fetched is kept.'
  version=$(matching_versions "$prefix" <<< "$list" | head -n 1)
  [[ -n $version ]] || fail "JBP_CONFIG_GROOVY asks for Groovy $prefix, which cannot be had: there are $(list_versions <<< "$list")"
  mkdir -p "$DEP/groovy"
  fetch_maven "Groovy $version" org/apache/groovy/groovy "$version" jar || fail "Groovy $version cannot be had: $fetch_error"
  cp "$archive" "$DEP/groovy/"
  for module in $GROOVY_MODULES; do
    if fetch_maven "$module $version" "org/apache/groovy/$module" "$version" jar; then cp "$archive" "$DEP/groovy/"; else missing+=" $module"; fi
  done
  # For @Grab, which downloads libraries when the script starts.
  if kept_list ivy maven_versions org/apache/ivy/ivy && fetch_maven Ivy org/apache/ivy/ivy "$(matching_versions 2 <<< "$list" | head -n 1)" jar; then
    cp "$archive" "$DEP/groovy/"
  else
    missing+=' ivy'
  fi
  [[ -z $missing ]] || warn "Groovy's modules cannot be had:$missing"
}

start_groovy() {
  local jars
  jars=$(cd "$BUILD" && find . -name '*.jar' -printf ':$HOME/%P')
  set_java_command "javaexec \"\$JAVA_HOME/bin/java\" -cp \"\$HOME:\$DEPS_DIR/$IDX/groovy/*$jars\${CLASSPATH:+:\$CLASSPATH}\" groovy.ui.GroovyMain $(printf '%q' "$(of_app .script)")"
}
