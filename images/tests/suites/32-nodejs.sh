# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here
nodejs=(--buildpack nodejs=nodejs_buildpack)

# The line that tells why staging failed. usage: cause
cause() { grep -F '**ERROR**' <<< "$log" | tail -n 1; }

# usage: file_of_app PATH
file_of_app() { tar -xOf "$work/droplet.tar" "home/vcap/app/$1"; }

feature nodejs 'heroku-prebuild and heroku-postbuild run; npm start gets SIGTERM'
feature nodejs 'NODE_ENV, NODE_HOME, MEMORY_AVAILABLE, WEB_MEMORY and WEB_CONCURRENCY are set'
stage "$fixtures/node" "${nodejs[@]}" --buildpack python=python_buildpack
check 'a Node.js app without dependencies stages without a network' equals "$code" 0
check "without a version and a registry it is the stack's, with a warning" contains "$log" 'Node.js 22.x cannot be fetched (Could not resolve host: registry.npmjs.org): the stack'
check 'its start command is npm start' equals "$(result_of .process_types.web)" 'npm start'
launch ''
check 'its build scripts ran, its environment is set' equals "$(answer /)" 'node production 512 before after '
stop
check 'npm hands SIGTERM to the app' contains "$log" closing
launch 'echo "$NODE_HOME|$NODE_PATH|$WEB_MEMORY|$WEB_CONCURRENCY|$NODE_OPTIONS"' OPTIMIZE_MEMORY=true LOG_CONCURRENCY=true
finish
check 'the heap is 75 % of the memory with OPTIMIZE_MEMORY' contains "$log" '/usr/local|/home/vcap/app/node_modules|512|1|--max_old_space_size=384'
check 'LOG_CONCURRENCY tells what is recommended' contains "$log" 'Detected 512 MB available memory, 512 MB limit per process (WEB_MEMORY)'

feature nodejs 'the version is that of engines.node, else .nvmrc, else 22; its digest is checked'
# usage: ask_for ENGINES_NODE [NVMRC]
ask_for() {
  rm -rf "$work/node-version" && cp -r "$fixtures/node-registry" "$work/node-version"
  [[ -z $1 ]] || printf '{ "name": "versions", "version": "1.0.0",\n "scripts": { "start": "node --version" },\n "engines": { "node": "%s" } }\n' "$1" > "$work/node-version/package.json"
  [[ -z ${2:-} ]] || echo "$2" > "$work/node-version/.nvmrc"
  stage --env CFLITE_PACKAGES=http://127.0.0.1:8099 "$work/node-version" "${nodejs[@]}"
}
ask_for ''
check 'the default is the newest of 22' contains "$log" 'Installing node 22.12.0'
launch ''
finish
check 'which runs the app' contains "$log" v22.12.0
ask_for 22.11.0
check 'an exact version is that one' contains "$log" 'Installing node 22.11.0'
check 'a download is told' contains "$log" 'Downloaded node 22.11.0'
ask_for '~>22'
check 'a range is the newest that fits' contains "$log" 'Installing node 22.12.0'
ask_for '>=20'
check "a range that the stack's version is in needs no download" contains "$log" 'Installing node 24.'
check 'and nothing is downloaded' lacks "$log" Downloading
check 'and an open one is a warning' contains "$log" 'Dangerous semver range (>) in engines.node'
ask_for '' v22.11
check '.nvmrc counts without engines' contains "$log" 'Installing node 22.11.0'
ask_for '22.11.0' 20
check 'and not with them' contains "$log" "Node version in .nvmrc ignored in favor of 'engines' field in package.json"
ask_for '' lts/jod
check 'the names of release lines are known' contains "$log" 'Installing node 22.12.0'
ask_for '' lts/unheard
check 'others are refused' contains "$(cause)" '.nvmrc:1 asks for lts/unheard, which is not a known name'
ask_for 9000.0.0
check 'a version that does not exist is refused with those that do' contains "$(cause)" \
  'package.json:3 asks for Node.js 9000.0.0: no match found; the newest of each release line are 20.18.0, 22.12.0, 23.1.0, 26.1.0'
check 'and fails the staging' equals "$code" 223
ask_for 'new'
check 'what is no version is refused' contains "$(cause)" "package.json:3 asks for 'new', which is not a version of Node.js"
ask_for 23.1.0
check 'an archive with another digest is refused' contains "$(cause)" 'package.json:3 asks for Node.js 23.1.0, which cannot be fetched (what http://127.0.0.1:8099/npm/'

feature nodejs 'as an earlier buildpack it supplies Node.js'
stage --env CFLITE_PACKAGES=http://127.0.0.1:8099 "$fixtures/node-registry" --skip-detect "${nodejs[@]}" --buildpack binary=binary_buildpack
launch 'node --version; echo "$NODE_HOME"'
finish
check 'the app of a later buildpack finds it' contains "$log" $'v22.12.0\n/home/vcap/deps/0/node'

stage "$fixtures/node-22" "${nodejs[@]}"
check 'without a registry the cause is named' contains "$(cause)" 'package.json:1 asks for Node.js 22.x, which cannot be fetched (Could not resolve host: registry.npmjs.org); this stack has '

feature nodejs 'a package-lock.json or yarn.lock out of step with package.json is a warning'
feature nodejs 'commands of modules and of bin/ are found without npm'
feature nodejs 'devDependencies are left out, unless NPM_CONFIG_PRODUCTION is false'
feature nodejs 'paths of staging become those of run time'
# Modules in folders of the app need no registry.
rm -rf "$work/modules" && mkdir -p "$work/modules"/{greet,late,tests,bin}
for module in greet late tests; do
  printf '{"name": "%s", "version": "1.0.0", "bin": {"%s-tool": "tool.js"}}\n' "$module" "$module" > "$work/modules/$module/package.json"
  printf '#!/usr/bin/env node\nconsole.log("tool of %s");\n' "$module" > "$work/modules/$module/tool.js"
done
printf '#!/bin/sh\necho own script\n' > "$work/modules/bin/own-script"
chmod +x "$work/modules"/*/*.js "$work/modules/bin/own-script"
echo 'logs go to /tmp/app/log' > "$work/modules/notes.txt"
# usage: manifest DEPENDENCIES DEV_DEPENDENCIES
manifest() { printf '{"name": "app", "version": "1.0.0", "engines": {"node": "24"}, "scripts": {"heroku-postbuild": "pwd > built.txt"}, "dependencies": %s, "devDependencies": %s}\n' "$1" "$2"; }
manifest '{"greet": "file:./greet"}' '{"tests": "file:./tests"}' > "$work/modules/package.json"
(cd "$work" && tar -cf - modules) | docker run --rm -i "${LABELS[@]}" --network none --entrypoint bash "$IMAGES_BUILD" -c '
  cd /tmp && tar -xf - && cd modules && npm install --package-lock-only --ignore-scripts > /dev/null 2>&1 && cat package-lock.json' > "$work/package-lock.json"
cp "$work/package-lock.json" "$work/modules/package-lock.json"
stage "$work/modules" "${nodejs[@]}"
check 'an app with a lock file stages' contains "$log" 'Installing node modules (package.json + package-lock.json)'
check 'without devDependencies' lacks "$(tar -tf "$work/droplet.tar")" home/vcap/app/node_modules/tests
check 'what its build wrote has the path of run time' equals "$(file_of_app built.txt)" /home/vcap/app
check "its own files stay as they are" equals "$(file_of_app notes.txt)" 'logs go to /tmp/app/log'
launch 'greet-tool && own-script'
finish
check 'commands of its modules and of bin/ are found' contains "$log" $'tool of greet\nown script'
stage --env NPM_CONFIG_PRODUCTION=false "$work/modules" "${nodejs[@]}"
check 'NPM_CONFIG_PRODUCTION=false brings devDependencies' contains "$(tar -tf "$work/droplet.tar")" home/vcap/app/node_modules/tests
manifest '{"greet": "file:./greet", "late": "file:./late"}' '{}' > "$work/modules/package.json"
stage "$work/modules" "${nodejs[@]}"
check 'a package-lock.json out of step is a warning' contains "$log" 'package-lock.json is out of step with package.json'
launch 'late-tool'
finish
check 'what it lacks is installed' contains "$log" 'tool of late'
rm "$work/modules/package-lock.json"
printf '# yarn lockfile v1\n\n\n"greet@file:./greet":\n  version "1.0.0"\n' > "$work/modules/yarn.lock"
stage "$work/modules" "${nodejs[@]}"
check 'so is a yarn.lock' contains "$log" 'yarn.lock is out of step with package.json'
launch 'late-tool; greet-tool; yarn --version'
finish
check 'and what it lacks is installed, too' contains "$log" $'tool of late\ntool of greet\n1.22.'

feature nodejs 'vendored node_modules are rebuilt, and completed'
rm "$work/modules/yarn.lock"
mkdir -p "$work/modules/node_modules/vendored"
echo '{"name": "vendored", "version": "1.0.0", "scripts": {"install": "echo rebuilt > rebuilt.txt"}}' > "$work/modules/node_modules/vendored/package.json"
manifest '{"vendored": "1.0.0", "late": "file:./late"}' '{}' > "$work/modules/package.json"
stage "$work/modules" "${nodejs[@]}"
check 'vendored modules need no registry' contains "$log" 'Prebuild detected (node_modules already exists)'
check 'they are rebuilt' equals "$(file_of_app node_modules/vendored/rebuilt.txt)" rebuilt
launch 'late-tool'
finish
check 'and completed' contains "$log" 'tool of late'

feature nodejs 'yarn installs from npm-packages-offline-cache without a network'
rm -rf "$work/mirror" && mkdir -p "$work/mirror"
cp -r "$work/modules/greet" "$work/mirror/package"
echo '{"name": "app", "version": "1.0.0", "engines": {"node": "24"}, "dependencies": {"greet": "1.0.0"}}' > "$work/mirror/package.json"
printf '# yarn lockfile v1\n\n\ngreet@1.0.0:\n  version "1.0.0"\n  resolved "https://registry.yarnpkg.com/greet/-/greet-1.0.0.tgz"\n' > "$work/mirror/yarn.lock"
printf 'mkdir npm-packages-offline-cache && tar -czf npm-packages-offline-cache/greet-1.0.0.tgz package && rm -rf package\n' > "$work/mirror/prepare"
stage "$work/mirror" "${nodejs[@]}"
check 'an offline mirror is used' contains "$log" 'Running yarn in offline mode'
launch greet-tool
finish
check 'and its module installed' contains "$log" 'tool of greet'

feature nodejs 'what cannot be installed is named in one line, with the cause'
manifest '{"absent": "1.0.0"}' '{}' > "$work/modules/package.json"
rm -rf "$work/modules/node_modules"
stage "$work/modules" "${nodejs[@]}"
check 'without a network, that is the cause' contains "$(cause)" 'Could not install the node modules: the npm registry https://registry.npmjs.org cannot be reached'
check 'and the staging fails' equals "$code" 223
echo '{"name": "app", "engines": {"node": "24"}, "scripts": {"heroku-prebuild": "echo the reason >&2; exit 4"}}' > "$work/modules/package.json"
stage "$work/modules" "${nodejs[@]}"
check 'a script that fails is named with its last words' contains "$(cause)" 'package.json:1: the script heroku-prebuild failed: the reason'
echo '{"engines": {"node": "24", "npm": "^8"}}' > "$work/modules/package.json"
stage "$work/modules" "${nodejs[@]}"
check 'an npm that cannot be fetched is named' contains "$(cause)" 'package.json:1 asks for npm ^8, which cannot be fetched: the npm registry https://registry.npmjs.org cannot be reached'
echo '{"engines": {' > "$work/modules/package.json"
stage "$work/modules" "${nodejs[@]}"
check 'a broken package.json is named' contains "$(cause)" 'package.json is not valid JSON: '

feature nodejs 'SSL_CERT_FILE and SSL_CERT_DIR are trusted'
rm -rf "$work/certificates" && mkdir -p "$work/certificates"
echo 'openssl req -x509 -sha256 -nodes -days 30 -newkey rsa:2048 -subj /CN=localhost -keyout key.pem -out cert.pem 2> /dev/null' > "$work/certificates/prepare"
echo '{"engines": {"node": "24"}, "scripts": {"start": "node main.js"}}' > "$work/certificates/package.json"
cat > "$work/certificates/main.js" << 'MAIN'
const fs = require('fs');
const https = require('https');
https.createServer({ key: fs.readFileSync('key.pem'), cert: fs.readFileSync('cert.pem') }, (_, response) => response.end('trusted')).listen(8443, () =>
  https.get('https://localhost:8443', (response) => response.pipe(process.stdout).on('finish', () => process.exit()) && response.on('end', () => process.exit()))
    .on('error', (error) => { console.log(error.code); process.exit(); }));
MAIN
stage --env SSL_CERT_FILE=cert.pem "$work/certificates" "${nodejs[@]}"
check "the app's own certificate does not disturb staging" equals "$code" 0
launch '' SSL_CERT_FILE=cert.pem
finish
check 'and is trusted at run time' contains "$log" trusted

feature nodejs 'Node.js, npm, yarn 4 and pnpm come from the npm registry'
if docker run --rm "${LABELS[@]}" --entrypoint curl "$IMAGES_BUILD" -sfI --max-time 20 https://registry.npmjs.org/npm/latest > /dev/null 2>&1; then
  rm -rf "$work/tools" && mkdir -p "$work/tools"
  echo '{"engines": {"node": "22.11.0", "npm": "^10"}, "scripts": {"start": "node --version; npm --version"}, "dependencies": {"left-pad": "1.3.0"}}' > "$work/tools/package.json"
  stage --network bridge "$work/tools" "${nodejs[@]}"
  check 'the Node.js and the npm that are asked for are fetched' equals "$code" 0
  launch ''
  finish
  check 'and run the app' contains "$log" $'\nv22.11.0\n10.'
  cp "$work/output-cache.tar" "$work/node-cache.tar"
  stage --cache "$work/node-cache.tar" "$work/tools" "${nodejs[@]}"
  check 'the next staging needs no network' contains "$log" 'node 22.11.0: kept from an earlier staging'
  check 'and succeeds' equals "$code" 0
  echo '{"engines": {"node": "24"}, "packageManager": "yarn@4.9.1", "dependencies": {"left-pad": "^1.3.0"}, "devDependencies": {"semver": "7.0.0"}, "scripts": {"start": "node -e \"console.log(require('"'left-pad'"')(1, 3, 0))\""}}' > "$work/tools/package.json"
  stage --network bridge "$work/tools" "${nodejs[@]}"
  check 'yarn 4 installs' contains "$log" 'Installed yarn 4.9.1'
  launch ''
  finish
  check "and its Plug'n'Play finds the modules" contains "$log" $'\n001'
  check 'but not those for development' lacks "$(tar -tf "$work/droplet.tar")" semver-npm
  sed -i 's/yarn@4.9.1/pnpm@9.15.0/' "$work/tools/package.json"
  stage --network bridge "$work/tools" "${nodejs[@]}"
  check 'pnpm installs' contains "$log" 'Installed pnpm 9.15.0'
  launch ''
  finish
  check 'and the modules are found' contains "$log" $'\n001'
else
  skipped=$((skipped + 9))
  echo 'skip  the npm registry does not answer in a container: fetching Node.js, npm, yarn 4, pnpm'
fi
