# shellcheck shell=bash
# The line that tells why pip failed, out of its output in tool_log.
# shellcheck disable=SC2154

pip_cause() {
  local missing versions others=''
  missing=$(sed -nE 's#^[[:space:]]*ERROR: No matching distribution found for (.*)#\1#p' "$tool_log" | head -n 1)
  versions=$(sed -nE 's#.*ERROR: Could not find a version that satisfies the requirement .*\(from versions: (.*)\)#\1#p' "$tool_log" | head -n 1)
  ! tool_said 'Ignored the following versions that require a different python version' || others=', others are for other versions of Python'
  if [[ -n $missing && ${vendored:-false} == true ]]; then
    others=$(unfit_wheel "$missing")
    if [[ ${versions:-none} == none && -n $others ]]; then
      printf 'vendor/ has %s for %s, which is not for Python %s on this machine' "$others" "$missing" "$(python3 -c 'import platform; print(platform.python_version())')"
    else
      printf 'vendor/ has no %s%s' "$missing" "$([[ ${versions:-none} == none ]] || printf ', only %s' "$versions")"
    fi
  elif tool_was_offline; then
    printf 'the package index %s cannot be reached%s' "$(shown_index)" "${missing:+ to download $missing}"
  elif [[ -n $missing && ${versions:-none} == none ]]; then
    printf 'the package index has no %s%s' "$missing" "$others"
  elif [[ -n $missing ]]; then
    printf 'no version in the package index is %s: the newest are %s%s' "$missing" "$(tr -d ' ' <<< "$versions" | tr , '\n' | tail -n 5 | paste -sd, | sed 's/,/, /g')" "$others"
  elif tool_said 'DO NOT MATCH THE HASHES'; then
    printf 'a package is not what the requirements promise: its hash differs'
  else
    sed -nE 's#^[[:space:]]*(ERROR: |error: |fatal: |[A-Za-z.]*Error: )(.*)#\1\2#p' "$tool_log" |
      grep -vE 'subprocess-exited-with-error|metadata-generation-failed|legacy-install-failure|Failed building wheel|Could not build wheels|Cannot uninstall' | tail -n 1 | sed 's/^ERROR: //' | cut -c 1-300
  fi
}

# A wheel in vendor/ of the package of a requirement. usage: unfit_wheel REQUIREMENT
unfit_wheel() {
  local name file
  name=$(sed -E 's/[^A-Za-z0-9_.-].*//; s/[-_.]+/_/g' <<< "${1,,}")
  for file in "$BUILD"/vendor/*.whl; do
    file=${file##*/}
    [[ $(sed -E 's/-.*//; s/[-_.]+/_/g' <<< "${file,,}") != "$name" ]] || { printf '%s' "$file"; return; }
  done
}

# The index without its credentials.
shown_index() {
  sed -E 's#(://)[^/@]+@#\1[redacted]@#' <<< "${PIP_INDEX_URL:-$(registry pypi)}"
}
