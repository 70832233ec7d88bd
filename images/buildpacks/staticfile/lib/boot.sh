#!/usr/bin/env bash
# Starts the site's server on $PORT. Only now the port and the environment are known, so the configuration is rendered here.
set -eu
export APP_ROOT=$HOME
conf=$APP_ROOT/nginx/conf

# {{port}} and {{env "NAME"}} are today's placeholders, <%= ENV["NAME"] %> is what older nginx.conf files have.
APP_PORT=$PORT perl -pe '
  s/\{\{\s*port\s*\}\}/$ENV{APP_PORT}/g;
  s/\{\{\s*env\s+"(\w+)"\s*\}\}/$ENV{$1} \/\/ ""/ge;
  s/<%=\s*ENV\[["\x27](\w+)["\x27]\]\s*%>/$ENV{$1} \/\/ ""/ge;
' "$conf/nginx.conf" > "$conf/rendered.conf"
exec nginx -p "$APP_ROOT/nginx" -c "$conf/rendered.conf"
