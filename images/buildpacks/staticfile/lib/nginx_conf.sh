# shellcheck shell=bash
# Writes nginx.conf for a site. Uses finalize's `option` and `enabled`, `options` and BUILD. What stands in double parentheses is filled in at
# each start of the app (render-nginx-conf).
# shellcheck disable=SC2154

# 4xx and 5xx stand for all codes of their class.
readonly CLIENT_ERRORS='400 401 402 403 404 405 406 407 408 409 410 411 412 413 414 415 416 417 418 421 422 423 424 426 428 429 431 451'
readonly SERVER_ERRORS='500 501 502 503 504 505 506 507 508 510 511'

error_pages() {
  local name code
  for name in "${!options[@]}"; do
    [[ $name == 'status_codes '* ]] || continue
    code=${name#status_codes }
    case $code in
      *4xx*) code=$CLIENT_ERRORS ;;
      *5xx*) code=$SERVER_ERRORS ;;
    esac
    printf '    error_page %s %s;\n' "$code" "${options[$name]}"
  done
}

# Older ones than 1.25.1 answer either HTTP/2 or HTTP/1.1 on a port: then HTTP/2 stays off, because a router speaks HTTP/1.1 unless told otherwise.
can_speak_both() { printf '%s\n' 1.25.1 "$(nginx_version)" | sort -CV; }

# The two settings that the environment may switch on, too, at each start.
listen() {
  if enabled enable_http2 && can_speak_both; then printf '    listen ((PORT));\n    http2 on;\n'; else printf '    ((LISTEN_DIRECTIVE))\n'; fi
}

force_https() {
  if enabled force_https; then
    printf '    if ($best_proto != "https") {\n      return 301 https://$best_host$best_prefix$request_uri;\n    }\n'
  else
    printf '    ((FORCE_HTTPS_DIRECTIVE))\n'
  fi
}

hsts() {
  local value='max-age=31536000'
  enabled http_strict_transport_security || return 0
  ! enabled http_strict_transport_security_include_subdomains || value+='; includeSubDomains'
  ! enabled http_strict_transport_security_preload || value+='; preload'
  printf '      add_header Strict-Transport-Security "%s";\n' "$value"
}

location_options() {
  if enabled pushstate; then
    printf '      if (!-e $request_filename) {\n        rewrite ^(.*)$ / break;\n      }\n'
  fi
  # Any value switches the listing on: people write "visible".
  [[ -z $(option directory) ]] || printf '      autoindex on;\n'
  ! enabled ssi || printf '      ssi on;\n'
  if [[ -f $BUILD/nginx/conf/.htpasswd ]]; then
    printf '      auth_basic "Restricted";\n      auth_basic_user_file ((APP_ROOT))/nginx/conf/.htpasswd;\n'
  fi
  hsts
  [[ -z $(option location_include) ]] || printf '      include %s;\n' "$(option location_include)"
}

nginx_conf() {
  cat << 'CONF'
worker_processes 1;
daemon off;
pid ((APP_ROOT))/nginx/nginx.pid;
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
  gzip_disable "msie6";
  gzip_comp_level 6;
  gzip_min_length 1100;
  gzip_buffers 16 8k;
  gzip_proxied any;
  gzip_vary on;
  gzip_types text/plain text/css text/js text/xml text/javascript application/javascript application/x-javascript application/json application/xml application/xml+rss image/svg+xml;
  # A file may be there only as FILE.gz; it is unpacked for those who do not accept it.
  gzip_static always;
  gunzip on;

  # Redirects are made for the name and scheme that the visitor sees, not for the port inside the container. Of a chain of proxies the first
  # value is the visitor's.
  port_in_redirect off;
  absolute_redirect off;
  map $http_x_forwarded_proto $best_proto {
    "~^([^,]+),?.*$" $1;
    "" "";
  }
  map $http_x_forwarded_host $best_host {
    "~^([^,]+),?.*$" $1;
    "" $host;
  }
  map $http_x_forwarded_prefix $best_prefix {
    "~^([^,]+),?.*$" $1;
    "" "";
  }
  map $best_proto $visible_scheme {
    default $best_proto;
    "" $scheme;
  }
  map $http_x_forwarded_host $visible_host {
    default $best_host;
    "" $http_host;
  }

CONF
  printf '  server {\n'
  listen
  printf '    server_name localhost;\n    root ((APP_ROOT))/public;\n\n'
  force_https
  cat << 'CONF'

    location / {
      index index.html index.htm Default.htm;
      if (-d $request_filename) {
        rewrite [^/]$ $visible_scheme://$visible_host$best_prefix$uri/ permanent;
      }
CONF
  location_options
  printf '    }\n\n'
  error_pages
  enabled host_dot_files || printf '    location ~ /\\. {\n      return 404;\n    }\n'
  printf '  }\n}\n'
}
