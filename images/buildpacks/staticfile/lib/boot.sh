#!/usr/bin/env bash
# Starts the site's server on $PORT. Only now the port and the environment are known, so the configuration is rendered here.
set -eu
export APP_ROOT=$HOME
conf=$APP_ROOT/nginx/conf

render-nginx-conf "$conf/nginx.conf" '*' > "$conf/rendered.conf"
exec nginx -p "$APP_ROOT/nginx" -c "$conf/rendered.conf"
