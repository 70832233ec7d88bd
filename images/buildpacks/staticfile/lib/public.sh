# shellcheck shell=bash
# Moves the site into public/. Uses finalize's `option` and `enabled`, and BUILD.
# shellcheck disable=SC2154

move_site() {
  local root site public file
  root=$(option root)
  site=$(realpath -m "$BUILD/${root:-.}")
  step "Root folder ${site/#$BUILD/\$HOME}"
  [[ -e $site ]] || fail "the application Staticfile specifies a root directory $root that does not exist"
  [[ -d $site ]] || fail "the application Staticfile specifies a root directory $root that is a plain file, but was expected to be a directory"
  [[ $site == "$BUILD" || $site == "$BUILD"/* ]] || fail "the application Staticfile specifies a root directory $root outside of the app"
  if [[ $site == "$BUILD" && -d $BUILD/nginx/conf ]]; then
    warn "You have an nginx/conf directory, but have not set *root*, or have set it to '.'."
    note 'If you are using the nginx/conf directory for nginx configuration, you probably need to also set the *root* directive.'
  fi

  step 'Copying project files into public'
  [[ $site != "$BUILD/public" ]] || return 0
  public=$(mktemp -d "$BUILD/.publicXXXXXXXX")
  chmod 0755 "$public"
  shopt -s dotglob nullglob
  for file in "$site"/*; do
    case ${file##*/} in
      Staticfile | Staticfile.auth | manifest.yml | manifest.yaml | stackato.yml | .profile | .profile.d | .cloudfoundry) continue ;;
      nginx) [[ $site != "$BUILD" ]] || continue ;;
      .public????????) [[ $file != "$public" ]] || continue ;;&
      .*) enabled host_dot_files || continue ;;
    esac
    mv "$file" "$public/"
  done
  # What the site's root keeps, such as its dot files, is not served.
  rm -rf "$BUILD/public"
  mv "$public" "$BUILD/public"
}
