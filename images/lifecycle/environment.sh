# shellcheck shell=bash
# The environment of the programs that stage an app. Sourced by builder and cnb-builder.
#
# An app's environment has variables of any name, and assigning to one of them changes it for all programs. The scripts of the lifecycle have plain
# names all the same: they keep the environment before they assign anything, and run what is not their own in the one that was kept.

keep_environment() {
  mapfile -d '' -t _cflite_environment < <(env -0)
}

# Runs a program. nice only starts it: env itself would take a path with a = for a variable. usage: in_environment PROGRAM [ARGUMENT…]
in_environment() {
  env -i -- "${_cflite_environment[@]}" nice -n 0 "$@"
}
