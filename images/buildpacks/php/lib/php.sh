# shellcheck shell=bash
# The stack's PHP with settings of its own. Uses BUILD, DEP, IDX of supply and the variables of app.sh.
# shellcheck disable=SC2154

# Programs and extensions of the stack, where the official buildpack has its own: apps name these paths.
link_php() {
  local folder
  folder=$(php -n -r 'echo PHP_EXTENSION_DIR;')
  mkdir -p "$DEP/bin" "$DEP/php"/{bin,sbin,lib/php/extensions,var/run,etc/php.ini.d}
  ln -sf /usr/bin/php8.2 "$DEP/php/bin/php"
  ln -sf /usr/sbin/php-fpm8.2 "$DEP/php/sbin/php-fpm"
  ln -sfn "$folder" "$DEP/php/lib/php/extensions/no-debug-non-zts-${folder##*/}"
  ln -sf ../php/bin/php "$DEP/bin/php"
  ln -sf ../php/sbin/php-fpm "$DEP/bin/php-fpm"
}

# php.ini, php-fpm.conf and what the app has in .bp-config/php.
write_php_settings() {
  local etc=$DEP/php/etc asked zend=() include=''
  cp "$BUILDPACK_DIR/config/php/"* "$etc/"
  if [[ -d $BUILD/.bp-config/php ]]; then
    note 'Applying user PHP configuration overrides'
    cp -r "$BUILD/.bp-config/php/." "$etc/"
  fi
  mkdir -p "$etc/php.ini.d"
  # What every PHP of the official buildpack has built in; read first, in whatever php.ini the app brings.
  php_extensions basic > "$etc/php.ini.d/000-basic.ini"
  asked=$(php_extensions asked "${extensions[@]}" "${zend_extensions[@]}")
  mapfile -t zend < <(grep '^zend_' <<< "$asked")
  [[ -z $(compgen -G "$etc/fpm.d/*.conf") ]] || include="include=@{DEPS_DIR}/$IDX/php/etc/fpm.d/*.conf"
  PHP_EXTENSIONS=$(grep -v '^zend_' <<< "$asked") ZEND_EXTENSIONS=$(printf '%s\n' "${zend[@]}") PHP_FPM_CONF_INCLUDE=$include \
    perl -i -pe 's/[\@#]\{(PHP_EXTENSIONS|ZEND_EXTENSIONS|PHP_FPM_CONF_INCLUDE)\}/$ENV{$1}/ge' "$etc/php.ini" "$etc/php-fpm.conf"
}

# Prints lines for php.ini; what is missing is told in the log. usage: php_extensions basic|asked NAME…
php_extensions() {
  local missing
  missing=$(mktemp)
  python3 "$BUILDPACK_DIR/lib/extensions.py" "$@" 2> "$missing" || fail "the extensions of PHP cannot be read: $(tail -n 1 "$missing")"
  indent < "$missing" >&2
  rm -f "$missing"
}

# Sessions in a bound service are shared by all instances. The cookie is then PHP's own: the router need not keep users at one instance.
write_sessions() {
  local file=$DEP/php/etc/php.ini.d/sessions.ini host scheme=tcp
  [[ -n $session_store ]] || return 0
  note "Sessions are kept in the bound $session_store service"
  printf 'session.name = PHPSESSIONID\nsession.save_handler = %s\n' "$session_store" > "$file"
  if [[ $session_store == redis ]]; then
    host=${session_hostname:-${session_host:-not-found}}
    [[ $session_uri != rediss://* ]] || scheme=tls
    printf 'session.save_path = "%s://%s:%s?auth=%s"\n' "$scheme" "$host" "${session_port:-not-found}" \
      "$(jq -rn --arg text "$session_password" '$text | @uri')" >> "$file"
  else
    printf 'session.save_path = "PERSISTENT=app_sessions %s"\nmemcached.sess_binary = On\nmemcached.use_sasl = On\n' "${session_servers:-not-found}" >> "$file"
    printf 'memcached.sess_sasl_username = "%s"\nmemcached.sess_sasl_password = "%s"\n' "$session_username" "$session_password" >> "$file"
  fi
}
