# shellcheck shell=bash
# Web archives, run by Tomcat. Uses BUILD, DEP, IDX and the settings.
# shellcheck disable=SC2034,SC2154  # variables are shared with the other libraries

install_tomcat() {
  local asked prefix version javax
  asked=$(setting TOMCAT.tomcat.version)
  prefix=$(version_prefix "${asked:-$( ((java_release >= 11)) && echo 10.1.+ || echo 9.0.+)}") ||
    fail "JBP_CONFIG_TOMCAT asks for Tomcat '$asked', which is not a version" 'Write it like 10.1.+ or 9.0.117.'
  kept_list tomcat maven_versions org/apache/tomcat/tomcat || fail "Tomcat cannot be looked up: $fetch_error" 'Stage once with a network: what was fetched is kept.'
  list=$(awk -F. '$1 >= 9 && !($1 == 10 && $2 == 0)' <<< "$list")
  version=$(matching_versions "$prefix" <<< "$list" | head -n 1)
  [[ -n $version ]] || fail "${asked:+JBP_CONFIG_TOMCAT asks for }Tomcat $prefix${asked:+, which} cannot be had: there are $(list_versions <<< "$list")"
  case $version in
    10.*) ((java_release >= 11)) || fail "Tomcat $version needs Java 11 or newer, the app would run on Java $java_release: set JBP_CONFIG_TOMCAT or JBP_CONFIG_OPEN_JDK_JRE" ;;
    11.*) ((java_release >= 17)) || fail "Tomcat $version needs Java 17 or newer, the app would run on Java $java_release: set JBP_CONFIG_TOMCAT or JBP_CONFIG_OPEN_JDK_JRE" ;;
  esac
  fetch_maven "Tomcat Instance $version" org/apache/tomcat/tomcat "$version" tar.gz || fail "Tomcat $version cannot be had: $fetch_error" 'Stage once with a network: what was fetched is kept.'
  find "$CACHE/runtimes" -type f -name 'tomcat-*.tar.gz' ! -name "${archive##*/}" -delete
  rm -rf "$DEP/tomcat"
  mkdir -p "$DEP/tomcat"
  tar -xzf "$archive" -C "$DEP/tomcat" --strip-components 1
  rm -rf "$DEP"/tomcat/{webapps/*,temp,*.md,BUILDING.txt,RELEASE-NOTES,RUNNING.txt} "$DEP"/tomcat/bin/{*.bat,*.tar.gz}
  note "Installed Tomcat ($version)"
  javax=$(grep -rlE 'javax/servlet/' "$BUILD/WEB-INF/classes" --include='*.class' 2> /dev/null | head -n 1) || true
  if [[ $version != 9.* && -n $javax ]]; then
    warn "${javax#"$BUILD"/} is of the older javax.servlet, which Tomcat $version does not have:"
    note "          cf set-env APP JBP_CONFIG_TOMCAT '{ tomcat: { version: 9.+ } }'"
  fi
  configure_tomcat
}

configure_tomcat() {
  local home=$DEP/tomcat access=false
  if enabled TOMCAT.access_logging_support.access_logging; then
    access=true
    note 'Access logging enabled via JBP_CONFIG_TOMCAT'
  else
    note 'Access logging disabled by default'
  fi
  cp "$BUILDPACK_DIR"/lib/tomcat/{server.xml,context.xml,logging.properties} "$home/conf/"
  mkdir -p "$home/conf/Catalina/localhost" "$home/webapps" "$home/lib"
  python3 "$BUILDPACK_DIR/lib/tomcat/descriptor.py" "$BUILD" "/home/vcap/app$(of_app 'if .war then "/" + .war else "" end')" > "$home/conf/Catalina/localhost/$(context_file)" ||
    fail 'META-INF/context.xml is not valid XML'
  tomcat_options=("-Dhttp.port=\$PORT" "-Daccess.logging.enabled=$access")
  cat > "$DEP/profile.d/tomcat.sh" << PROFILE
export CATALINA_HOME=\$DEPS_DIR/$IDX/tomcat CATALINA_BASE=\$DEPS_DIR/$IDX/tomcat CATALINA_TMPDIR=\$TMPDIR
PROFILE
  # Tomcat goes on when the app in it failed to start. The listener that ends it is compiled here.
  if "$JAVA_HOME/bin/java" --list-modules 2> /dev/null | grep -q '^jdk.compiler'; then
    "$JAVA_HOME/bin/java" -m jdk.compiler/com.sun.tools.javac.Main -nowarn -cp "$(printf '%s:' "$home"/{lib,bin}/*.jar)" -d "$home/lib" \
      "$BUILDPACK_DIR/lib/tomcat/StartupFailure.java" 2>&1 | indent
  else
    warn "this Java has no compiler: Tomcat will go on when the app in it fails to start"
    sed -i '/StartupFailure/d' "$home/conf/server.xml"
  fi
}

# /first/second is first#second.xml.
context_file() {
  local path
  path=$(setting TOMCAT.tomcat.context_path)
  while [[ $path == /* ]]; do path=${path#/}; done
  path=${path%/}
  [[ $path =~ ^[A-Za-z0-9._~/-]*$ ]] || fail "JBP_CONFIG_TOMCAT: context_path '$path' is not a path"
  path=${path:-ROOT}
  printf '%s.xml' "${path//\//#}"
}
