# shellcheck shell=bash
# The app's own scripts around the buildpack's work: bin/pre_compile and bin/post_compile. Uses BUILD.

# usage: run_hook pre_compile|post_compile
run_hook() {
  local script=$BUILD/bin/$1 command=()
  [[ -f $script ]] || return 0
  step "Running $1 hook"
  chmod +x "$script"
  [[ $(head -c 2 "$script") == '#!' ]] || command=(/bin/sh)
  (cd "$BUILD" && "${command[@]}" "$script" 2>&1 | indent) || fail "the app's bin/$1 failed: exit status $?"
}
