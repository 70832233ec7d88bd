# shellcheck shell=bash
# The line that tells why a package manager failed, out of its output in tool_log.
# shellcheck disable=SC2154

npm_cause() {
  local code text
  code=$(sed -nE 's#^npm (error|ERR!) code ([A-Z0-9_]+).*#\2#p' "$tool_log" | head -n 1)
  case $code in
    ENOTFOUND | EAI_AGAIN | ECONNREFUSED | ECONNRESET | ETIMEDOUT | ENETUNREACH | EHOSTUNREACH | ERR_SOCKET_TIMEOUT) unreachable ;;
    E404) printf 'the registry has no %s' "$(sed -nE "s#.*npm (error|ERR!) 404 +'?([^ ']+)'? (is not in this|could not be found).*#\\2#p; s#.*404 Not Found - GET ([^ ]+).*#\\1#p" "$tool_log" | tail -n 1)" ;;
    ETARGET) printf 'no version fits: %s' "$(sed -nE 's#.*No matching version found for ([^ ]*[^ .]).*#\1#p' "$tool_log" | head -n 1)" ;;
    [0-9]*) printf 'the install script of %s failed' "$(sed -nE 's#^npm (error|ERR!) path .*/node_modules/(.*)#\2#p' "$tool_log" | head -n 1)" ;;
    *)
      text=$(sed -nE 's#^npm (error|ERR!) ##p' "$tool_log" | grep -vE '^(code|errno|syscall|path|command|A complete log|This is|Log files|dest|signal) ?|^$' | head -n 1)
      printf '%s' "${code:+$code: }${text:-npm ended with an error}"
      ;;
  esac
}

unreachable() { printf 'the npm registry %s cannot be reached' "$(sed -E 's#(://)[^/@]+@#\1[redacted]@#' <<< "${npm_config_registry:-$(registry npm)}")"; }

yarn_cause() {
  local text
  text=$(sed -nE 's#^error (.*)#\1#p; s#^.*(YN[0-9]{4}):[^[:alnum:]@/]*(.*)#\1: \2#p' "$tool_log" | grep -vE '^YN(0000|0002|0013|0060|0086|0087|0065|0019|0085|0007)' | head -n 1)
  case $text in
    */node_modules/*': Command failed.'*) text="the install script of ${text##*/node_modules/}" text="${text%%: Command*} failed" ;;
    *"Couldn't find any versions for"* | *"Couldn't find package"*) ;;
    *) ! tool_was_offline || text=$(unreachable) ;;
  esac
  printf '%s' "${text:-yarn ended with an error}"
}

pnpm_cause() {
  local text
  text=$(sed -nE 's#^.*(ERR_PNPM_[A-Z0-9_]+)[[:space:]]+(.*)#\1: \2#p' "$tool_log" | head -n 1)
  if [[ -z $text || $text == ERR_PNPM_META_FETCH_FAIL* || $text == ERR_PNPM_FETCH_* ]] && tool_was_offline; then
    text=$(unreachable)
  fi
  printf '%s' "${text:-pnpm ended with an error}"
}

# Warnings about what fails often. Called when a tool has failed.
warn_about_modules() {
  local command
  for command in grunt bower gulp; do
    ! tool_said "$command: (command )?not found" || warn "${command^} may not be tracked in package.json"
  done
  ! grep -qi 'cannot find module' "$tool_log" ||
    warn "A module may be missing from 'dependencies' in package.json; devDependencies are installed with NPM_CONFIG_PRODUCTION=false only"
}
