# shellcheck shell=bash
# Which Python the app runs on. Uses BUILD, CACHE, DEP, IDX of supply.
# shellcheck disable=SC2034,SC2154  # supply reads python_fetched

# Prints the versions that can be fetched, oldest first.
fetched_versions() {
  local version release x86 arm
  while read -r version release x86 arm; do
    [[ $version == \#* || $(digest_for "$x86" "$arm") == - ]] || printf '%s\n' "$version"
  done < "$BUILDPACK_DIR/lib/runtimes.list"
}

digest_for() { if [[ $(uname -m) == aarch64 ]]; then printf '%s' "$2"; else printf '%s' "$1"; fi; }

# The stack's Python when it is in the range that the app's files ask for, else the newest one that is. Sets python_fetched.
choose_python() {
  local have chosen kind text file asks=false versions
  python_fetched=false
  have=$(python3 -c 'import platform; print(platform.python_version())')
  chosen=$have
  for file in runtime.txt .python-version Pipfile Pipfile.lock pyproject.toml; do
    [[ ! -f $BUILD/$file ]] || asks=true
  done
  # What most apps ask for, if anything, is told apart without a parser.
  if [[ -f $BUILD/runtime.txt && $(<"$BUILD/runtime.txt") =~ ^python-${have%.*}(\.x)?[[:space:]]*$ ]]; then asks=false; fi
  if $asks; then
    mapfile -t versions < <(fetched_versions)
    while read -r kind text; do
      case $kind in
        warn) warn "$text" ;;
        fail) fail "$text" ;;
        use) chosen=$text ;;
      esac
    done < <(python3 "$BUILDPACK_DIR/lib/choose.py" "$BUILD" "$have" "${versions[@]}")
  fi
  [[ $chosen == "$have" ]] || install_python "$chosen"
  step "Installing python $chosen"
}

# Puts a Python below deps/<idx>/python. It is built to be moved: it finds its library and modules from where its executable is.
install_python() {
  local version=$1 minor=${1%.*} release x86 arm platform=linux-x86_64 url work built
  read -r _ release x86 arm < <(grep "^${version//./\\.} " "$BUILDPACK_DIR/lib/runtimes.list")
  [[ $(uname -m) != aarch64 ]] || platform=linux-arm64
  url=$(registry maven)/org/bytedeco/cpython/$release/cpython-$release-$platform.jar
  fetch_runtime "python $version" "$url" "sha256:$(digest_for "$x86" "$arm")" || fail "Python $version cannot be fetched: $fetch_error"
  work=$(mktemp -d)
  unzip -q "$archive" "org/bytedeco/cpython/$platform/*" -d "$work" \
    -x "*/lib/python$minor/test/*" "*/lib/python$minor/idlelib/*" "*/libjnipython.so" "*/share/*" "*/bin/idle3*" "*/bin/c_rehash"
  rm -rf "$DEP/python" && mv "$work/org/bytedeco/cpython/$platform" "$DEP/python"
  rm -rf "$work"
  # Beside bin, and once more at the top.
  rm "$DEP/python/python$minor"
  chmod -R u+w,a+rX "$DEP/python"
  chmod 0755 "$DEP"/python/bin/*
  # Its modules look for libffi beside themselves; compilers look for Python's library in lib.
  cp "$DEP"/python/libffi.so.* "$DEP/python/lib/python$minor/lib-dynload/"
  ln -s "../libpython$minor.so.1.0" "$DEP/python/lib/libpython$minor.so.1.0"
  ln -s "libpython$minor.so.1.0" "$DEP/python/lib/libpython$minor.so"
  ln -s "python$minor" "$DEP/python/bin/python"
  ln -s pip3 "$DEP/python/bin/pip"
  ln -sf "python$minor" "$DEP/python/bin/python3"
  # Where it was built is what its configuration says.
  built=$(sed -nE "s#^prefix=(/.*/cppbuild/$platform).*#\\1#p" "$DEP/python/lib/pkgconfig/python-$minor.pc")
  [[ -z $built ]] || grep -rlIF "$built" "$DEP/python/lib" "$DEP/python/bin" | xargs -r sed -i "s#$built#/home/vcap/deps/$IDX/python#g"
  # Its OpenSSL looks for certificates where it was built, too.
  export SSL_CERT_FILE=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
  export PATH="$DEP/python/bin:$PATH"
  hash -r
  python_fetched=true
  [[ $(python3 -c 'import platform; print(platform.python_version())' 2>&1) == "$version" ]] || fail "Python $version does not run on this stack"
}
