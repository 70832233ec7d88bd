# shellcheck shell=bash
# What the app asks for, and the placeholders of configuration files. Uses BUILD, IDX.
# shellcheck disable=SC2154,SC2034

# Where the servers are: not on an app's PATH.
export PATH=$PATH:/usr/sbin

# Sets php_version and the variables of settings.py.
read_app() {
  local settings
  php_version=$(php -n -r 'echo PHP_VERSION;')
  settings=$(PYTHONDONTWRITEBYTECODE=1 python3 "$BUILDPACK_DIR/lib/settings.py" "$BUILD" "$php_version") ||
    fail 'the settings of the app cannot be read'
  problem='' hints=()
  eval "$settings"
  if [[ -n $problem ]]; then
    [[ -z ${composer_asks:-} ]] || step "Composer requires PHP $composer_asks"
    fail "$problem"
  fi
  # The web server finds PHP at a port, or at a socket.
  php_home=/home/vcap/deps/$IDX
  fpm_listen=127.0.0.1:9000
  [[ $web_server != nginx ]] || fpm_listen=$php_home/php/var/run/php-fpm.sock
}

# Replaces @{NAME} and #{NAME} in all files below a folder, HOME as the second argument says. usage: fill_in FOLDER [HOME]
fill_in() {
  local scope=${2:-}
  WEBDIR=$webdir LIBDIR=$libdir ADMIN_EMAIL=$admin_email PHP_FPM_LISTEN=$fpm_listen PHP_HOME=$php_home SCOPE=$scope \
    find "$1" -type f -exec perl -i -pe '
      BEGIN {
        %values = map { $_ => $ENV{$_} } qw(WEBDIR LIBDIR ADMIN_EMAIL PHP_FPM_LISTEN);
        $values{DEPS_DIR} = "/home/vcap/deps";
        $values{TMPDIR} = q(${TMPDIR});
      }
      # Settings of PHP itself are beside it; those of the app (php.ini.d, fpm.d) and of the web server are beside the app.
      $values{HOME} = $ENV{SCOPE} || ($ARGV =~ m{/(?:php\.ini\.d|fpm\.d)/} ? "/home/vcap/app" : $ENV{PHP_HOME});
      s/[\@#]\{(\w+)\}/exists $values{$1} ? $values{$1} : $&/ge;
    ' {} +
}
