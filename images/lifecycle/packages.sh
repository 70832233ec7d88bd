# shellcheck shell=bash
# Where package managers and buildpacks find packages. Sourced by builder and cnb-builder.
#
# CFLITE_PACKAGES is the URL of cflite's package cache, without a slash at its end; it is unset when the cache is switched off. Below it each
# public registry has a folder. A package manager that the app's own environment points elsewhere stays pointed there.

# The names of the variables that package managers and buildpacks need.
_cflite_package_variables=()

# Sets a variable unless the app's environment has it. usage: default_to NAME VALUE
default_to() {
  [[ -n ${!1+set} ]] || always "$1" "$2"
}

# usage: always NAME VALUE
always() {
  export "$1=$2"
  _cflite_package_variables+=("$1")
}

use_package_cache() {
  [[ -n ${CFLITE_PACKAGES:-} ]] || return 0
  local host=${CFLITE_PACKAGES#*://}
  host=${host%%/*}
  _cflite_package_variables+=(CFLITE_PACKAGES)
  if [[ -z ${PIP_INDEX_URL+set} ]]; then
    always PIP_INDEX_URL "$CFLITE_PACKAGES/pypi/simple"
    always PIP_TRUSTED_HOST "${host%:*}"
  fi
  default_to npm_config_registry "$CFLITE_PACKAGES/npm"
  # The cache itself tries again what fails on the way; npm would wait a minute for what is missing offline.
  default_to npm_config_fetch_retries 0
  default_to YARN_REGISTRY "$CFLITE_PACKAGES/npm"
  default_to YARN_NPM_REGISTRY_SERVER "$CFLITE_PACKAGES/npm"
  default_to YARN_UNSAFE_HTTP_WHITELIST "${host%:*}"
  default_to GOPROXY "$CFLITE_PACKAGES/go"
  default_to BUNDLE_MIRROR__ALL "$CFLITE_PACKAGES/rubygems"
  default_to MVNW_REPOURL "$CFLITE_PACKAGES/maven"
  use_maven_mirror
  use_gradle_mirror
  use_composer_repository
  # The cache is on this machine: no proxy stands between.
  export no_proxy="${no_proxy:+$no_proxy,}${host%:*}" NO_PROXY="${NO_PROXY:+$NO_PROXY,}${host%:*}"
}

# Writes a file with the text of standard input, unless there is one. usage: provide FILE
provide() {
  [[ ! -e $1 ]] || return 0
  mkdir -p "${1%/*}" && cat > "$1"
}

# Maven Central for Maven; settings that the app brings along, as with --settings in .mvn/maven.config, win.
use_maven_mirror() {
  provide "$HOME/.m2/settings.xml" << XML
<settings>
  <mirrors>
    <mirror>
      <id>cflite</id>
      <name>Maven Central through cflite</name>
      <mirrorOf>central</mirrorOf>
      <url>$CFLITE_PACKAGES/maven</url>
    </mirror>
  </mirrors>
</settings>
XML
}

# The same for Gradle: only mavenCentral() leads to the cache, other repositories stay where they are.
use_gradle_mirror() {
  provide "${GRADLE_USER_HOME:-$HOME/.gradle}/init.d/cflite.gradle" << 'GRADLE'
def central = ['repo.maven.apache.org', 'repo1.maven.org']
def cached = { repositories ->
    repositories.withType(MavenArtifactRepository).configureEach { repository ->
        if (central.contains(repository.url.host)) {
            repository.url = URI.create(System.getenv('CFLITE_PACKAGES') + '/maven')
            repository.allowInsecureProtocol = true
        }
    }
}
settingsEvaluated { settings ->
    cached(settings.pluginManagement.repositories)
    cached(settings.dependencyResolutionManagement.repositories)
}
allprojects {
    cached(buildscript.repositories)
    cached(repositories)
}
GRADLE
}

# Packagist for Composer.
use_composer_repository() {
  [[ -z ${COMPOSER_HOME+set} ]] || return 0
  always COMPOSER_HOME "$HOME/.composer"
  provide "$COMPOSER_HOME/config.json" << JSON
{
  "repositories": {"packagist.org": {"type": "composer", "url": "$CFLITE_PACKAGES/composer"}},
  "config": {"secure-http": false}
}
JSON
}
