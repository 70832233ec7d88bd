#!/usr/bin/env bash
# Starts the site's server. profile.d/staticfile.sh has filled in its configuration.
exec nginx -p "$APP_ROOT/nginx" -c "$APP_ROOT/nginx/conf/nginx.conf"
