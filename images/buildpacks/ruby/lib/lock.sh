# shellcheck shell=bash
# Lock files that were made elsewhere. Uses gemfile, BUILD of supply.
# shellcheck disable=SC2034,SC2154  # gems.sh reads resolve

# Makes the lock file fit this Ruby, this bundler and Linux. Sets bundler, its version, and resolve, whether bundler has to find versions anew.
adapt_lock() {
  local name with platforms
  name=${gemfile##*/}.lock resolve=false
  ! grep -q $'\r' "$gemfile" || warn "Windows line endings detected in ${gemfile##*/}. Your app may fail to stage. Please use UNIX line endings."
  sed -i 's/\r$//' "$gemfile.lock"
  bundler=$(bundle --version | grep -oE '[0-9.]+' | head -n 1)
  with=$(sed -n '/^BUNDLED WITH$/{n;s/^ *//p;}' "$gemfile.lock")
  if [[ -n $with && $with != "$bundler" ]]; then
    note "$name was bundled with bundler $with: bundler $bundler is used"
  fi
  # Another bundler's mark would make this one fetch that one; it does not know digests yet.
  forget_section 'BUNDLED WITH'
  forget_section CHECKSUMS
  platforms=$(sed -n '/^PLATFORMS$/,/^$/{/^ /s/^ *//p;}' "$gemfile.lock")
  ! grep -qE '^(ruby|x86_64-linux(-gnu)?|aarch64-linux(-gnu)?)$' <<< "$platforms" || return 0
  [[ -n $platforms ]] || return 0
  if grep -qE 'mingw|mswin' <<< "$platforms"; then
    warn "Removing \`$name\` because it was generated on Windows: Bundler resolves the versions again, which may give other ones"
    rm "$gemfile.lock"
    resolve=true
  else
    # Bundler adds this platform to the ones it has, with the same versions.
    warn "$name was made for $(paste -sd, <<< "$platforms" | sed 's/,/, /g') only: Bundler adds this platform, which may need other gems"
    sed -i "/^PLATFORMS\$/a\\  ruby" "$gemfile.lock"
    resolve=true
  fi
}

# The line that tells why bundler failed, out of its output in tool_log.
bundle_cause() {
  local text
  if [[ ! -d $BUILD/vendor/cache ]] && tool_was_offline; then
    printf 'the gem server %s cannot be reached' "$(sed -nE 's#.*(https?://[^/ ]*).*#\1#p' "$tool_log" | head -n 1 | sed -E 's#(://)[^/@]+@#\1[redacted]@#')"
    return
  fi
  text=$(grep -m 1 -E "^(Could not find|Could not locate|Your bundle only supports|Your lockfile|The dependencies in|The gemfile|Bundler could not|An error occurred while installing|Gem::[A-Za-z:]*Error|Bundler::[A-Za-z:]*Error|You are trying to install in deployment mode|fatal:|Authentication is required|Some dependencies)" "$tool_log" || true)
  printf '%s' "${text:-$(grep -vE '^[[:space:]]*$|^(Fetching|Installing|Using|Resolving|Run |Bundle) ' "$tool_log" | tail -n 1)}" | cut -c 1-300
}
