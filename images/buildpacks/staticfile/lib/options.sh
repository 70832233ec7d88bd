# shellcheck shell=bash
# The options of a site: those of its Staticfile, which need not be there. Uses finalize's BUILD.
# shellcheck disable=SC2154

declare -A options=()
readonly SWITCHES='host_dot_files ssi pushstate force_https enable_http2 http_strict_transport_security
  http_strict_transport_security_include_subdomains http_strict_transport_security_preload'

# Reads the Staticfile into options, by name; those of status_codes as "status_codes 404".
read_options() {
  local json='{}' name value
  [[ ! -f $BUILD/Staticfile ]] || json=$(yaml_as_json "$BUILD/Staticfile")
  [[ $json != null ]] || json='{}'
  [[ $json == \{* ]] || fail 'the Staticfile is not a map of options'
  jq -e '.status_codes // {} | type == "object"' <<< "$json" > /dev/null || fail 'status_codes in the Staticfile is not a map of codes to pages'
  while IFS=$'\t' read -r name value; do
    options[$name]=$value
    [[ " ${SWITCHES//$'\n'/ } root directory location_include " == *" ${name%% *} "* || $name == 'status_codes '* ]] ||
      warn "the Staticfile's option $name is not known: it has no effect"
  done < <(jq -r 'to_entries[] | if .key == "status_codes" then (.value // {} | to_entries[] | ["status_codes \(.key)", (.value | tostring)])
    else [.key, (.value // "" | tostring)] end | @tsv' <<< "$json")
}

# Prints an option's text, nothing when it is not set. usage: option NAME
option() { printf '%s' "${options[$1]:-}"; }

# usage: enabled NAME
enabled() { [[ $(option "$1") == enabled || $(option "$1") == true ]]; }

announce() { ! enabled "$1" || step "Enabling $2"; }

announce_options() {
  local name
  for name in $SWITCHES; do
    case $(option "$name") in
      '' | enabled | true | disabled | false | off | no) ;;
      *) warn "the Staticfile's $name is neither enabled nor true: it stays off" ;;
    esac
  done
  announce host_dot_files 'hosting of dotfiles'
  [[ -z $(option location_include) ]] || step "Enabling location include file $(option location_include)"
  [[ -z $(option directory) ]] || step 'Enabling directory index for folders without index.html files'
  announce ssi SSI
  announce pushstate pushstate
  announce http_strict_transport_security HSTS
  announce http_strict_transport_security_include_subdomains 'HSTS includeSubDomains'
  announce http_strict_transport_security_preload 'HSTS Preload'
  announce enable_http2 HTTP/2
  ! enabled enable_http2 || can_speak_both ||
    warn "nginx $(nginx_version) of this stack cannot answer HTTP/1.1 and HTTP/2 on one port: HTTP/2 stays off"
  announce force_https 'HTTPS redirect'
  [[ " ${!options[*]}" != *' status_codes '* ]] || step 'Enabling custom pages for status_codes'
  if ! enabled http_strict_transport_security &&
    { enabled http_strict_transport_security_include_subdomains || enabled http_strict_transport_security_preload; }; then
    warn 'http_strict_transport_security is not enabled: without it the options for subdomains and preload do nothing'
  fi
  [[ ! -f $BUILD/Staticfile.auth ]] || step 'Enabling basic authentication using Staticfile.auth'
}
