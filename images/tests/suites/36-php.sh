# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here
php=(--buildpack staticfile=staticfile_buildpack --buildpack php=php_buildpack)

# The field of the JSON that the fixture php-httpd answers. usage: field FILTER PATH [CURL_OPTION…]
field() {
  local filter=$1
  shift
  answer "$@" | docker run --rm -i "${LABELS[@]}" --network none --entrypoint jq "$IMAGES_BUILD" -rc "$filter"
}

feature php 'Apache with PHP FPM by default; everything visible moves into WEBDIR when that is missing'
stage "$fixtures/php-httpd" "${php[@]}"
check 'a PHP app stages without a network' equals "$code" 0
check 'its start command is the usual one' equals "$(result_of .process_types.web)" '$HOME/.bp/bin/start'
check 'the log says what is installed' contains "$log" '-----> Installing PHP 8.2.'
check 'the visible files moved, lib/ stayed' equals \
  "$(tar -tf "$work/droplet.tar" | grep -cE '^home/vcap/app/(htdocs/index\.php|htdocs/folder/index\.html|lib/helper\.php)$')" 3
check 'no path of staging is kept in the droplet' lacks \
  "$(tar -xOf "$work/droplet.tar" --exclude 'home/vcap/deps/*/env' home/vcap/deps home/vcap/app | tr -d '\0' | grep -aoE '/tmp/(contents|app)[^ ]*' | head -n 1)" /tmp
feature php 'an extension that the stack lacks is told; an unknown option, too'
check 'a missing extension is named' contains "$log" "The extension 'meatball' is not provided by this buildpack."
check 'an unknown option is named' contains "$log" 'NO_SUCH_KEY is not known'
launch ''
feature php 'extensions of `PHP_EXTENSIONS` and `ZEND_EXTENSIONS`, with what they need'
check 'its first answer has the extensions asked for, those built in, no others' equals "$(field .extensions /)" '["pdo_sqlite","SimpleXML","Zend OPcache"]'
feature php 'own `php.ini.d`, `fpm.d` and `httpd` files with `@{NAME}` and `#{NAME}`'
check 'php.ini.d counts, LIBDIR is on the include path' equals "$(field '.own, .helper' /)" $'own\nfrom lib'
check 'fpm.d counts' equals "$(field .fpm /)" /home/vcap/app/htdocs
check 'the environment reaches PHP' equals "$(field '.environment, .temporary' /)" $'0\n/home/vcap/tmp'
check '.htaccess counts' equals "$(field .page /folder/pretty/one)" one
feature php '`ADDITIONAL_PREPROCESS_CMDS`'
check 'commands ran before the start, in their order' equals "$(field .preprocess /)" '["one","two"]'
feature php 'HTTPS and the visitor behind the router'
check 'X-Forwarded-Proto switches HTTPS on' equals "$(field .https / -H 'X-Forwarded-Proto: https')" on
check 'not without it' equals "$(field .https /)" null
check 'the headers say no more than needed' lacks "$(answer / -i)" X-Powered-By
check 'what is hidden is not served' contains "$(answer /.htaccess -i)" 403
check 'a missing PHP file is a 404 of the web server' contains "$(answer /none.php -i)" '404 Not Found'
check 'a folder has an index' equals "$(answer /folder/)" 'a folder'
feature php 'errors are logged; a stop completes requests'
answer '/?fail' > /dev/null
check 'an error is logged' contains "$(docker logs "$instance" 2>&1)" 'PHP message: PHP Fatal error:  Uncaught Error: Call to undefined function no_such_function()'
answer '/?slow' > "$work/slow" &
slow=$!
sleep 1
stop
wait "$slow" || true
check 'a request is completed when the app stops' contains "$(cat "$work/slow")" 'from lib'
check 'and the app ends by the signal' equals "$code" 143
launch ''
answer / > /dev/null
docker exec "$instance" pkill -o php-fpm
finish
check 'the app ends when PHP FPM ends' contains "$log" 'PHP FPM has ended'

feature php 'sessions in a bound redis'
services='{"user-provided":[{"name":"my-redis-sessions","credentials":{"hostname":"cache.example.org","port":6379,"password":"a b"}}]}'
stage --env "VCAP_SERVICES=$services" "$fixtures/php-httpd" "${php[@]}"
launch ''
check 'are set up' equals "$(field .session /)" 'PHPSESSIONID redis tcp://cache.example.org:6379?auth=a%20b'
stop

feature php 'nginx, own nginx files'
feature php 'composer without development packages; `ext-*` of composer.json'
stage "$fixtures/php-nginx" "${php[@]}"
check 'an app with packages and nginx stages' equals "$code" 0
check 'composer installed them' contains "$log" 'Installing fixtures/greeting (1.0.0)'
launch ''
check 'its packages are found' equals "$(answer /)" 'greeting no dev Ä off'
check 'HTTPS is known' equals "$(answer / -H 'X-Forwarded-Proto: https, http')" 'greeting no dev Ä on'
check 'its own nginx file counts' contains "$(answer / -i)" 'X-Own: public'
check 'a missing PHP file is a 404 of nginx' contains "$(answer /none.php -i)" '404 Not Found'
stop
check 'nginx stops, too' equals "$code" 143
feature php 'a pushed `vendor/` is used as it is'
stage "$fixtures/php-vendored" "${php[@]}"
launch ''
check 'vendored packages need no composer' equals "$(answer /)" 'as pushed'
stop
rm -rf "$work/unvendored"
cp -r "$fixtures/php-vendored" "$work/unvendored"
rm -rf "$work/unvendored/vendor"
stage "$work/unvendored" "${php[@]}"
check 'packages that cannot be had fail the staging' equals "$code" 223
check 'with the cause' contains "$log" '**ERROR** composer install failed: '

feature php '`WEB_SERVER` none: a program without a web server'
stage "$fixtures/php-standalone" "${php[@]}"
launch ''
finish
check 'a program runs' contains "$log" 'standalone app.php /home/vcap/app'

feature php 'a version that cannot be had is refused with the place that asked'
stage_options() {
  rm -rf "$work/options"
  mkdir -p "$work/options/.bp-config"
  printf '<?php\n' > "$work/options/index.php"
  printf '%s\n' "$1" > "$work/options/.bp-config/options.json"
  stage "$work/options" "${php[@]}"
}
stage_options '{"PHP_VERSION": "{PHP_82_LATEST}"}'
check 'the latest of the line that the stack has is fine' equals "$code" 0
stage_options $'{\n"PHP_VERSION": "{PHP_84_LATEST}"}'
check 'another line is not' contains "$code $log" 'PHP {PHP_84_LATEST}, which .bp-config/options.json line 2 asks for, cannot be had: this stack has PHP 8.2.'
printf '{"require": {"php": "^8.3"}}\n' > "$work/options/composer.json"
rm "$work/options/.bp-config/options.json"
stage "$work/options" "${php[@]}"
check 'neither in composer.json' contains "$code $log" 'PHP ^8.3, which composer.json line 1 asks for, cannot be had'
stage_options '{"WEB_SERVER": "lighttpd"}'
check 'an unknown web server is refused' contains "$code $log" "WEB_SERVER is 'lighttpd', but it can be httpd, nginx or none only"
stage_options '{"WEB_SERVER": '
check 'broken options are refused' contains "$code $log" '.bp-config/options.json is not valid JSON'

feature php 'supplies PHP to another buildpack'
stage "$fixtures/php-standalone" --skip-detect --buildpack php=php_buildpack --buildpack binary=binary_buildpack
launch 'php app.php && php -m'
finish
check 'its programs find PHP and its settings' contains "$log" 'standalone app.php'

stage "$samples/php" "${php[@]}"
check 'the sample php stages' equals "$code" 0
launch ''
check 'the sample php answers' contains "$(answer /)" '<h1>Hello from PHP on cflite</h1>'
stop
