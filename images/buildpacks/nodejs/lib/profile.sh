# shellcheck shell=bash
# What Node.js apps find in their environment.
export NODE_ENV=${NODE_ENV:-production}
export NODE_HOME=${NODE_HOME:-$(dirname "$(dirname "$(realpath "$(command -v node)")")")}
export NODE_PATH=${NODE_PATH:-$HOME/node_modules}
export PATH=$PATH:$HOME/bin:$HOME/node_modules/.bin
# npm starts scripts through a shell; bash becomes a single command, so that SIGTERM reaches the app and not a shell around it.
export npm_config_update_notifier=false npm_config_script_shell=${npm_config_script_shell:-/bin/bash}
if [ -z "${MEMORY_AVAILABLE:-}" ] && [ -n "${MEMORY_LIMIT:-}" ]; then
  export MEMORY_AVAILABLE=${MEMORY_LIMIT%m}
fi
export WEB_MEMORY=${WEB_MEMORY:-512} WEB_CONCURRENCY=${WEB_CONCURRENCY:-1}
if [ "${LOG_CONCURRENCY:-}" = true ]; then
  echo "Detected ${MEMORY_AVAILABLE:-unknown} MB available memory, $WEB_MEMORY MB limit per process (WEB_MEMORY)"
  echo "Recommending WEB_CONCURRENCY=$WEB_CONCURRENCY"
fi
if [ "${OPTIMIZE_MEMORY:-}" = true ] && [ -n "${MEMORY_AVAILABLE:-}" ]; then
  export NODE_OPTIONS="--max_old_space_size=$((MEMORY_AVAILABLE * 75 / 100))${NODE_OPTIONS:+ $NODE_OPTIONS}"
fi
# Node.js trusts only its built-in authorities: those that the app brings must be configured. NODE_EXTRA_CA_CERTS has the machine's.
if [ -n "${SSL_CERT_FILE:-}${SSL_CERT_DIR:-}" ]; then
  export SSL_CERT_DIR=${SSL_CERT_DIR:-/etc/ssl/certs} NODE_OPTIONS="${NODE_OPTIONS:+$NODE_OPTIONS }--use-openssl-ca"
fi
# Yarn's Plug'n'Play: modules are in archives, which node opens with this.
if [ -f "$HOME/.pnp.cjs" ]; then
  export NODE_OPTIONS="${NODE_OPTIONS:+$NODE_OPTIONS }--require $HOME/.pnp.cjs"
fi
