# shellcheck shell=bash
# What Node.js apps find in their environment.
export NODE_ENV=${NODE_ENV:-production}
export NODE_HOME=${NODE_HOME:-$(dirname "$(dirname "$(command -v node)")")}
export WEB_MEMORY=${WEB_MEMORY:-512} WEB_CONCURRENCY=${WEB_CONCURRENCY:-1}
# npm starts scripts through a shell; bash becomes a single command, so that SIGTERM reaches the app and not a shell around it.
export npm_config_update_notifier=false npm_config_script_shell=${npm_config_script_shell:-/bin/bash}
if [ -z "${MEMORY_AVAILABLE:-}" ] && [ -n "${MEMORY_LIMIT:-}" ]; then
  export MEMORY_AVAILABLE=${MEMORY_LIMIT%m}
fi
if [ "${OPTIMIZE_MEMORY:-}" = true ] && [ -n "${MEMORY_AVAILABLE:-}" ]; then
  export NODE_OPTIONS="--max_old_space_size=$((MEMORY_AVAILABLE * 75 / 100)) ${NODE_OPTIONS:-}"
fi
# Node.js trusts only its built-in authorities: those added to the stack must be configured.
if [ -z "${NODE_EXTRA_CA_CERTS:-}" ] && ls /usr/local/share/ca-certificates/*.crt > /dev/null 2>&1; then
  export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
fi
