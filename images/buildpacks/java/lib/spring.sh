# shellcheck shell=bash
# What Spring Boot apps get: the port, and java-cfenv, which sets Spring's properties from bound services and activates the profile cloud.
# shellcheck disable=SC2154

supply_spring() {
  local boot version folder
  boot=$(of_app .boot)
  if [[ $kind == 'Spring Boot' || $(of_app .main) == org.springframework.boot.loader.* ]]; then
    echo 'export SERVER_PORT=${PORT:-8080}' >> "$DEP/profile.d/spring.sh"
  fi
  [[ $boot =~ ^[34]$ && $(of_app .cfenv) == '' ]] && enabled JAVA_CF_ENV.enabled true || return 0
  for folder in BOOT-INF/lib WEB-INF/lib; do
    [[ -d $BUILD/$folder ]] || continue
    if kept_list java-cfenv maven_versions io/pivotal/cfenv/java-cfenv-all; then
      version=$(matching_versions "$boot" <<< "$list" | head -n 1)
      if [[ -n $version ]] && fetch_maven "Java CF Env $version" io/pivotal/cfenv/java-cfenv-all "$version" jar; then
        mkdir -p "$DEP/java_cf_env"
        cp "$archive" "$DEP/java_cf_env/"
        ln -sf "/home/vcap/deps/$IDX/java_cf_env/${archive##*/}" "$BUILD/$folder/"
        return 0
      fi
    fi
    warn "java-cfenv for Spring Boot $boot cannot be had: ${fetch_error:-no version for it}. Bound services set no properties of Spring"
  done
  # Without the library the profile is still activated.
  echo 'export SPRING_PROFILES_INCLUDE=${SPRING_PROFILES_INCLUDE:+$SPRING_PROFILES_INCLUDE,}cloud' >> "$DEP/profile.d/spring.sh"
}
