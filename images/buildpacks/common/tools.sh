# shellcheck shell=bash
# Running package managers, and telling in one line why one failed. Sourced after lib.sh.

# Runs a command with its output indented below the step; tool_log keeps the output. Lines that match tool_noise are left out.
# usage: run_tool COMMAND…
run_tool() {
  tool_log=${tool_log:-$(mktemp)}
  "$@" 2>&1 | sed -uE "/${tool_noise:-^$}/d" | tee "$tool_log" | indent
}

# Whether the last tool's output matches an extended regular expression. usage: tool_said PATTERN
tool_said() { grep -qE "$1" "$tool_log"; }

# Whether the last tool failed because a server could not be reached.
tool_was_offline() {
  tool_said 'ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|Temporary failure in name resolution|Name or service not known|Network is unreachable|Failed to establish a new connection|Connection refused|ConnectTimeout|Could not reach host|Could not resolve host|getaddrinfo|Failed to open TCP connection|Retry limit reached|dns error'
}

# FILE:LINE of the first line of an app's file that matches; without such a line the file. usage: line_of FILE PATTERN
line_of() {
  local number
  number=$(grep -nE -m 1 -e "$2" "$1" 2> /dev/null | cut -d: -f1) || true
  printf '%s%s' "${1#"$BUILD"/}" "${number:+:$number}"
}
