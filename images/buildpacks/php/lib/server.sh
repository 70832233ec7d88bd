# shellcheck shell=bash
# The web folder, the web server and the start. Uses BUILD, DEP, IDX of finalize and the variables of app.sh.
# shellcheck disable=SC2154

# Without its web folder, all of the app that is visible moves into it.
move_into_webdir() {
  local entry name
  [[ $web_server != none && ! -d $BUILD/$webdir ]] || return 0
  note "WEBDIR '$webdir' not found, moving app files into it"
  mkdir -p "$BUILD/.moved"
  for entry in "$BUILD"/*; do
    name=${entry##*/}
    case $name in
      manifest.yml | Procfile | '*' | "${webdir%%/*}" | "${libdir%%/*}") ;;
      *) mv "$entry" "$BUILD/.moved/" ;;
    esac
  done
  mkdir -p "$(dirname "$BUILD/$webdir")"
  mv "$BUILD/.moved" "$BUILD/$webdir"
  # What composer reads has moved along.
  for name in composer_json composer_lock composer_auth; do
    [[ -z ${!name} || -f $BUILD/${!name} ]] || printf -v "$name" '%s' "$webdir/${!name}"
  done
}

# usage: set_up_server NAME. The app's own configuration files replace those of the same name.
set_up_server() {
  mkdir -p "$BUILD/$1/conf" "$BUILD/$1/logs"
  cp -r "$BUILDPACK_DIR/config/$1/." "$BUILD/$1/conf/"
  if [[ -d $BUILD/.bp-config/$1 ]]; then
    note "Applying user $1 configuration overrides"
    cp -r "$BUILD/.bp-config/$1/." "$BUILD/$1/conf/"
  fi
  fill_in "$BUILD/$1/conf" /home/vcap/app
  # Git keeps no empty folders, and neither do all packages.
  touch "$BUILD/$1/logs/.keep"
}

set_up_httpd() {
  local built_in
  step "Installing HTTPD $(apache2 -v | sed -n 's|.*Apache/\([0-9.]*\).*|\1|p')"
  set_up_server httpd
  ln -sfn /usr/lib/apache2/modules "$BUILD/httpd/modules"
  [[ -f $BUILD/httpd/conf/mime.types ]] ||
    sed -nE 's/^[[:space:]]+([a-z]+\/[^[:space:]]+)[[:space:]]+([^;]+);.*/\1 \2/p' /etc/nginx/mime.types > "$BUILD/httpd/conf/mime.types"
  # A module that is built in cannot be loaded once more.
  built_in=$(apache2 -l | sed -n 's/^ *mod_\(.*\)\.c$/\1/p' | paste -sd '|')
  find "$BUILD/httpd/conf" -type f -name '*.conf' -exec sed -i -E "s/^([[:space:]]*LoadModule[[:space:]]+($built_in)_module[[:space:]])/# built in: \\1/" {} +
}

set_up_nginx() {
  step "Installing Nginx $(nginx -v 2>&1 | sed 's|.*/||')"
  set_up_server nginx
  [[ -f $BUILD/nginx/conf/mime.types ]] || cp /etc/nginx/mime.types "$BUILD/nginx/conf/"
}

choose_standalone() {
  if [[ -n $standalone && -f $BUILD/$standalone ]]; then
    note "Standalone app mode: will run $standalone"
  elif [[ -n $standalone ]]; then
    fail ".bp-config/options.json: APP_START_CMD names $standalone, which the app does not have"
  elif [[ ! -f $BUILD/Procfile ]]; then
    warn 'no standalone app found: set APP_START_CMD, or name it app.php, main.php, run.php or start.php'
  fi
}

# They run before the app, with the HOME that they had in earlier versions of the official buildpack.
write_preprocess() {
  local command
  ((${#preprocess[@]} > 0)) || return 0
  step "ADDITIONAL_PREPROCESS_CMDS: ${#preprocess[@]} command(s) will run before the app starts"
  note 'Writing preprocess commands to .profile.d/preprocess.sh'
  {
    printf 'preprocess_home=$HOME\nexport HOME=/home/vcap\n'
    for command in "${preprocess[@]}"; do
      printf 'printf "%%s\\n" %q\neval %q || { echo "a preprocess command failed" >&2; exit 1; }\n' "-----> Running preprocess command: $command" "$command"
    done
    printf 'export HOME=$preprocess_home\nunset preprocess_home\n'
  } > "$DEP/profile.d/preprocess.sh"
}

write_start() {
  mkdir -p "$BUILD/.bp/bin" "$BUILD/logs"
  {
    printf '#!/usr/bin/env bash\nweb_server=%s\nstandalone=%q\nindex=%s\n' "$web_server" "$standalone" "$IDX"
    cat "$BUILDPACK_DIR/lib/start.sh"
  } > "$BUILD/.bp/bin/start"
  printf '#!/usr/bin/env bash\n# Runs a command, then starts the app. usage: pre-start [COMMAND…]\n(($# == 0)) || "$@" || exit\nexec "$HOME/.bp/bin/start"\n' > "$BUILD/.bp/bin/pre-start"
  chmod 0755 "$BUILD/.bp/bin/"*
  note "Created start script for $web_server"
}
