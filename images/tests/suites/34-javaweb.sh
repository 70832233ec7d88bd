# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh, harness.sh and 34-java.sh set what is read here
feature java 'wars run on Tomcat 10.1, without classes compiled beforehand for JSP, also with UTF-8 names'
feature java 'JBP_CONFIG_TOMCAT: version, context path, access log'
feature java 'a web application that fails to start ends the instance'
feature java 'Spring Boot: port and profile cloud are set'
feature java 'Groovy scripts'
[[ -f $work/java-cache.tar ]] || return 0
if ! docker run --rm "${LABELS[@]}" --entrypoint curl "$IMAGES_BUILD" -sfI --max-time 20 https://repo.maven.apache.org/maven2/org/apache/tomcat/tomcat/maven-metadata.xml > /dev/null 2>&1; then
  skipped=$((skipped + 1))
  echo 'skip  Maven Central does not answer in a container: Tomcat, Spring Boot, Groovy'
  return 0
fi

stage --network bridge --cache "$work/java-cache.tar" "$fixtures/java/war" "${java[@]}"
check 'a war stages' equals "$code" 0
check 'Tomcat is downloaded' contains "$log" 'Downloading Tomcat Instance 10.1.'
check 'the start command is that of Tomcat' contains "$(result_of .process_types.web)" 'exec $CATALINA_HOME/bin/catalina.sh run'
cp "$work/output-cache.tar" "$work/tomcat-cache.tar"
check 'a servlet is built with it' build_java servlet
stage --cache "$work/tomcat-cache.tar" --env 'JBP_CONFIG_TOMCAT={ access_logging_support: { access_logging: enabled } }' "$work/java/war" "${java[@]}"
check 'a war stages without a network once Tomcat is kept' equals "$code" 0
launch ''
check 'a JSP whose name is not ASCII answers, with the scheme that the router saw' equals \
  "$(answer /%CE%A9.jsp -H 'X-Forwarded-Proto: https')" $'omega https 10 «/Ω.jsp»'
check 'a servlet answers at the root' equals "$(answer /greeting -H 'X-Vcap-Request-Id: request-1')" 'servlet '
check 'what is missing shows no stack trace' lacks "$(answer /missing.jsp)" Apache
stop
check 'requests are in the log' contains "$log" 'vcap_request_id:request-1'
check 'SIGTERM reaches Tomcat' contains "$log" 'Stopping service [Catalina]'
stage --cache "$work/tomcat-cache.tar" --env 'JBP_CONFIG_TOMCAT={ tomcat: { context_path: /first/second } }' "$work/java/war" "${java[@]}"
launch ''
check 'the context path can be set' equals "$(answer /first/second/greeting)" 'servlet /first/second'
stop
check 'there is no access log without asking' lacks "$log" '[ACCESS]'
stage --cache "$work/tomcat-cache.tar" "$work/java/broken" "${java[@]}"
launch ''
finish
check 'an application that fails to start ends the instance' equals "$code" 1
check 'and is named' contains "$log" 'the web application [] failed to start'
stage --network bridge --cache "$work/tomcat-cache.tar" --env 'JBP_CONFIG_TOMCAT={ tomcat: { version: 9.+ } }' "$fixtures/java/war" "${java[@]}"
launch ''
check 'another Tomcat can be asked for' contains "$(answer /%CE%A9.jsp)" 'omega http 9 '
stop
stage --cache "$work/tomcat-cache.tar" --env 'JBP_CONFIG_TOMCAT={ tomcat: { version: 8.5.+ } }' "$fixtures/java/war" "${java[@]}"
check 'one that cannot be had fails with the list' contains "$log" 'JBP_CONFIG_TOMCAT asks for Tomcat 8.5, which cannot be had: there are 9.0.'

docker run --rm "${LABELS[@]}" --entrypoint curl "$IMAGES_BUILD" -sf --max-time 60 \
  https://repo.maven.apache.org/maven2/org/springframework/boot/spring-boot-loader/3.5.7/spring-boot-loader-3.5.7.jar > "$work/loader.jar"
mkdir -p "$work/java/boot"
docker run --rm -i "${LABELS[@]}" --network none --entrypoint bash "$IMAGES_BUILD" -c 'cd /tmp && cat > loader.jar && unzip -q loader.jar "org/*" && tar -cf - org' \
  < "$work/loader.jar" | tar -xf - -C "$work/java/boot"
stage --network bridge --cache "$work/java-cache.tar" "$work/java/boot" "${java[@]}"
check 'a Spring Boot jar stages' contains "$log" 'Detected container: Spring Boot'
launch '' SPRING_PROFILES_INCLUDE=own
check 'its launcher starts it' equals "$(answer /)" 'Java 17 []'
check 'with the port' equals "$(answer /env/SERVER_PORT)" 8080
profiles=$(answer /env/SPRING_PROFILES_INCLUDE)
stop
check 'the profile cloud comes from java-cfenv, or without it from the environment' grep -qE 'own,cloud|java-cfenv-all' \
  <<< "$profiles $(tar -tf "$work/droplet.tar")"

stage --network bridge --cache "$work/java-cache.tar" "$fixtures/java/groovy" "${java[@]}"
check 'Groovy scripts stage' contains "$log" 'Downloading Groovy 4.0.'
launch ''
check 'the one without a class runs' contains "$(answer /)" 'with a class beside'
stop
