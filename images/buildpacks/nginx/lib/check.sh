# shellcheck shell=bash
# Checks nginx.conf and what it includes on a copy of the app. Uses supply's BUILD and DEP.
# shellcheck disable=SC2154

# Fills in the copy's files; PORT is set by the caller. usage: fill_in COPY
fill_in() {
  "$DEP/bin/varify" -buildpack-yml-path "$BUILD/buildpack.yml" "$1/nginx.conf" "$BUILD/modules" "$DEP/nginx/modules"
}

# A copy of links: the app may be large. usage: copy_app; sets copy
copy_app() {
  copy=$(mktemp -d "${BUILD%/*}/nginx-check.XXXXXXXX")
  cp -al "$BUILD/." "$copy"
}

check_conf() {
  local copy marker complaint
  step 'Checking nginx.conf'
  [[ -f $BUILD/nginx.conf ]] || fail 'Could not validate nginx.conf: there is no nginx.conf file in the root folder of the app'

  # A port that no file has by chance: it must appear in one of them.
  copy_app
  marker=port$RANDOM$RANDOM
  complaint=$(PORT=$marker fill_in "$copy" 2>&1) || fail "Could not validate nginx.conf: $complaint"
  grep -rqsF --binary-files=without-match "$marker" "$copy" ||
    fail 'The listen port value in nginx.conf must be configured to the template `{{port}}`: write listen {{port}};'
  rm -rf "$copy"

  copy_app
  complaint=$(PORT=8080 fill_in "$copy" 2>&1) || fail "Could not validate nginx.conf: $complaint"
  # With the whole configuration as its output, includes and all.
  complaint=$(nginx -T -p "$copy" -c "$copy/nginx.conf" 2>&1) || {
    complaint=${complaint//"$copy/"/}
    indent <<< "$complaint"
    fail "nginx.conf contains syntax errors: $(sed -n 's/^nginx: \[emerg\] //p' <<< "$complaint" | head -n 1)"
  }
  rm -rf "$copy"
  if ! grep -qE '^[^#]*access_log' <<< "$complaint" || grep -qiE '^[^#]*access_log[[:space:]]+off' <<< "$complaint"; then
    warn 'Warning: access logging is turned off in your nginx.conf file, this may make your app difficult to debug.'
  fi
}
