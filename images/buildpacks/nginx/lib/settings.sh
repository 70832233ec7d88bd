# shellcheck shell=bash
# What buildpack.yml asks for. Uses supply's BUILD.
# shellcheck disable=SC2154

read_settings() {
  local file=$BUILD/buildpack.yml json='{}' wanted have unknown line
  have=$(nginx_version)
  [[ ! -f $file ]] || json=$(yaml_as_json "$file")
  [[ $json == \{* ]] || json='{}'
  unknown=$(jq -r '[(keys - ["nginx", "dist"])[], (.nginx | objects | keys - ["version", "plaintext_env_vars"] | map("nginx." + .))[]] | join(", ")' <<< "$json")
  [[ -z $unknown ]] || warn "buildpack.yml: $unknown is not known and has no effect"
  case $(jq -r '.dist // "" | tostring' <<< "$json") in
    '' | nginx) ;;
    openresty) fail "buildpack.yml asks for dist: openresty, which no Debian package and no public registry has: there is nginx $have; OpenResty needs a custom buildpack that brings it (cf push -b URL)" ;;
    *) fail "buildpack.yml asks for a dist that is not known: there is nginx $have" ;;
  esac

  wanted=$(jq -r '.nginx.version? // "" | tostring' <<< "$json")
  case $wanted in
    '') step "No nginx version specified - using mainline => $have" ;;
    mainline | stable) step "Requested nginx version: $wanted => $have" ;;
    "$have" | "${have%.*}" | "${have%.*}.x" | "${have%%.*}.x" | "${have%%.*}.x.x") step "Requested nginx version: $wanted => $have" ;;
    *)
      line=$(grep -n 'version:' "$file" | head -n 1)
      fail "buildpack.yml:${line%%:*} asks for nginx $wanted, which cannot be had. Available versions: mainline, stable, ${have%.*}.x, $have"
      ;;
  esac
  [[ -n $wanted && $wanted != mainline && $wanted != stable ]] || note 'This stack has one nginx, for mainline and stable alike'
}
