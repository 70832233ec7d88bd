# shellcheck shell=bash
# Writes nginx.conf for a site. Uses finalize's `option` and `enabled`, `options`, `location_include` and BUILD.
# shellcheck disable=SC2154

# 4xx and 5xx stand for all codes of their class.
readonly CLIENT_ERRORS='400 401 402 403 404 405 406 407 408 409 410 411 412 413 414 415 416 417 418 421 422 423 424 426 428 429 431 451'
readonly SERVER_ERRORS='500 501 502 503 504 505 506 507 508 510 511'

error_pages() {
  local name code
  for name in "${!options[@]}"; do
    [[ $name == 'status_codes '* ]] || continue
    code=${name#status_codes }
    code=${code/#4xx/$CLIENT_ERRORS}
    printf '    error_page %s %s;\n' "${code/#5xx/$SERVER_ERRORS}" "${options[$name]}"
  done
}

force_https() {
  enabled "${FORCE_HTTPS:-$(option force_https)}" || return 0
  cat << 'CONF'
    if ($http_x_forwarded_proto != "https") {
      return 301 https://$updated_host$request_uri;
    }
CONF
}

hsts() {
  local value='max-age=31536000'
  enabled "$(option http_strict_transport_security)" || return 0
  ! enabled "$(option http_strict_transport_security_include_subdomains)" || value+='; includeSubDomains'
  ! enabled "$(option http_strict_transport_security_preload)" || value+='; preload'
  printf '      add_header Strict-Transport-Security "%s";\n' "$value"
}

location_options() {
  if enabled "$(option pushstate)"; then
    printf '      if (!-e $request_filename) {\n        rewrite ^(.*)$ / break;\n      }\n'
  fi
  # Any value switches the listing on: people write "visible".
  [[ -z $(option directory) ]] || printf '      autoindex on;\n'
  ! enabled "$(option ssi)" || printf '      ssi on;\n'
  if [[ -f $BUILD/nginx/conf/.htpasswd ]]; then
    printf '      auth_basic "Restricted";\n      auth_basic_user_file {{env "APP_ROOT"}}/nginx/conf/.htpasswd;\n'
  fi
  hsts
  [[ -z $location_include ]] || printf '      include %s;\n' "$location_include"
}

nginx_conf() {
  local http2=''
  ! enabled "${ENABLE_HTTP2:-$(option enable_http2)}" || http2=' http2'
  cat << 'CONF'
worker_processes 1;
daemon off;
pid {{env "TMPDIR"}}/nginx.pid;
error_log /dev/stderr;

events {
  worker_connections 1024;
}

http {
  charset utf-8;
  log_format cloudfoundry '$http_x_forwarded_for - $http_referer - [$time_local] "$request" $status $body_bytes_sent';
  access_log /dev/stdout cloudfoundry;
  default_type application/octet-stream;
  include mime.types;
  sendfile on;
  tcp_nopush on;
  keepalive_timeout 30;
  server_tokens off;

  gzip on;
  gzip_comp_level 6;
  gzip_min_length 1100;
  gzip_proxied any;
  gzip_vary on;
  gzip_types text/plain text/css text/js text/xml text/javascript application/javascript application/x-javascript application/json application/xml application/xml+rss image/svg+xml;
  gzip_static on;

  # Redirects are made for the name and scheme that the visitor sees, not for the port inside the container.
  port_in_redirect off;
  absolute_redirect off;
  map $http_x_forwarded_proto $updated_scheme {
    default $http_x_forwarded_proto;
    "" $scheme;
  }
  map $http_x_forwarded_host $updated_host {
    default $http_x_forwarded_host;
    "" $http_host;
  }

CONF
  printf '  server {\n    listen {{port}}%s;\n    server_name localhost;\n    root {{env "APP_ROOT"}}/public;\n\n' "$http2"
  force_https
  cat << 'CONF'
    if (-d $request_filename) {
      rewrite [^/]$ $updated_scheme://$updated_host$http_x_forwarded_prefix$uri/ permanent;
    }

    location / {
      index index.html index.htm Default.htm;
CONF
  location_options
  printf '    }\n\n'
  error_pages
  enabled "$(option host_dot_files)" || printf '    location ~ /\\. {\n      return 404;\n    }\n'
  printf '  }\n}\n'
}
