# Fills in the site's nginx.conf for this start: only now the port and the environment are known. Like the official buildpack's hook it exports
# APP_ROOT, for start commands of the user's own.
export APP_ROOT=$HOME
render-nginx-conf -site "$APP_ROOT/nginx/conf/nginx.conf"
