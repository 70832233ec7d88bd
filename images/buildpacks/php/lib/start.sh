# shellcheck shell=bash
# Starts the app: PHP FPM and the web server in front of it, or a program. The lines above say which.
# shellcheck disable=SC2154
export DEPS_DIR=${DEPS_DIR:-/home/vcap/deps} TMPDIR=${TMPDIR:-/home/vcap/tmp}
export PHPRC=$DEPS_DIR/$index/php/etc PHP_INI_SCAN_DIR=$DEPS_DIR/$index/php/etc/php.ini.d
export HTTPD_SERVER_ADMIN=${HTTPD_SERVER_ADMIN:-noreply@vcap.me}
mkdir -p "$TMPDIR" "$DEPS_DIR/$index/php/var/run"
cd "$HOME" || exit

if [[ $web_server == none ]]; then
  if [[ -z $standalone ]]; then
    echo 'There is no program to run: set APP_START_CMD in .bp-config/options.json, or name it app.php, main.php, run.php or start.php.' >&2
    exit 1
  fi
  exec php "$standalone"
fi

# Placeholders whose values are known only now. usage: fill_in PATTERN FOLDER…
fill_in() {
  local pattern=$1
  shift
  find "$@" -type f -exec perl -i -pe "s/$pattern/exists \$ENV{\$1} ? \$ENV{\$1} : \$&/ge" {} +
}
fill_in '[\@#]\{(\w+)\}' "$PHPRC" "$HOME/$web_server/conf"
[[ $web_server != nginx ]] || fill_in '\$\{(PORT|TMPDIR|HOME)\}' "$HOME/nginx/conf"

rm -f "$DEPS_DIR/$index/php/var/run/php-fpm.sock" "$HOME/httpd/logs/httpd.pid"
php-fpm -F -y "$PHPRC/php-fpm.conf" -c "$PHPRC" &
fpm=$!

# The web server must not answer before PHP does. Waits 10 seconds at most, for the address that php-fpm.conf names.
wait_for_fpm() {
  local address attempt
  address=$(sed -nE 's/^[[:space:]]*listen[[:space:]]*=[[:space:]]*"?([^";[:space:]]+).*/\1/p' "$PHPRC/php-fpm.conf" | head -n 1)
  address=${address/:/\/}
  for ((attempt = 0; attempt < 200; attempt++)); do
    case $address in
      /*) [[ ! -S $address ]] || return ;;
      */*) (: < "/dev/tcp/$address") 2> /dev/null && return ;;
      *) (: < "/dev/tcp/127.0.0.1/$address") 2> /dev/null && return ;;
    esac
    kill -0 "$fpm" 2> /dev/null || return
    sleep 0.05
  done
}
wait_for_fpm
if [[ $web_server == httpd ]]; then
  /usr/sbin/apache2 -f "$HOME/httpd/conf/httpd.conf" -C "DefaultRuntimeDir $HOME/httpd/logs" -k start -DFOREGROUND &
  gracefully=WINCH
else
  mkdir -p "$TMPDIR"/nginx_{fastcgi,client_body,proxy}
  nginx -e stderr -p "$HOME/nginx" -c "$HOME/nginx/conf/nginx.conf" &
  gracefully=QUIT
fi
server=$!

# Requests end before PHP does. shellcheck does not follow traps.
# shellcheck disable=SC2317
stop() {
  trap '' TERM INT
  kill -s "$gracefully" "$server" 2> /dev/null
  wait "$server" 2> /dev/null
  kill -s QUIT "$fpm" 2> /dev/null
  wait "$fpm" 2> /dev/null
  exit 143
}
trap stop TERM INT

# Neither can do without the other.
wait -n "$fpm" "$server"
code=$?
if kill -0 "$server" 2> /dev/null; then ended='PHP FPM' left=$server; else ended=$web_server left=$fpm; fi
echo "$ended has ended (exit status $code): the app ends, too" >&2
kill -s TERM "$left" 2> /dev/null
wait "$left" 2> /dev/null
exit $((code == 0 ? 1 : code))
