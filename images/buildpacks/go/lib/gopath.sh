# shellcheck shell=bash
# The app's package, and where its code is compiled: in place with go.mod, in a GOPATH without. Uses BUILD, tool of finalize.
# shellcheck disable=SC2154,SC2034

# Sets package_name, the import path of the app.
name_package() {
  case $tool in
    godep) package_name=$(jq -r .ImportPath "$BUILD/Godeps/Godeps.json") ;;
    glide)
      package_name=$(yaml_as_json "$BUILD/glide.yaml" | jq -r '.package? // empty')
      [[ -n $package_name ]] || fail 'glide.yaml has no package'
      ;;
    gomod)
      if [[ -f $BUILD/go.mod ]]; then
        package_name=$(cd "$BUILD" && GO111MODULE=on GOWORK=off GOFLAGS='' go list -m) || fail 'go.mod cannot be read'
      else
        package_name=''
        [[ -n ${GO_INSTALL_PACKAGE_SPEC:-} ]] || fail 'go.work without a go.mod: name the package to install in GO_INSTALL_PACKAGE_SPEC, such as ./cmd/app'
      fi
      ;;
    *)
      package_name=${GOPACKAGENAME:-}
      [[ -n $package_name ]] ||
        fail "To use go native vendoring set the \$GOPACKAGENAME environment variable to your app's package name" "Or give the app a go.mod: run 'go mod init'."
      ;;
  esac
  [[ /$package_name/ != */../* && $package_name != /* ]] || fail "'$package_name' is not a package name"
}

use_modules() {
  export GO111MODULE=on GOBIN=$BUILD/bin GOFLAGS="${GOFLAGS:+$GOFLAGS }-trimpath -modcacherw"
  [[ $GOFLAGS == *-mod=* || ! -f $package_folder/vendor/modules.txt ]] || GOFLAGS+=' -mod=vendor'
}

# Sets package_folder, a copy of the app below src/ of a GOPATH, or the app itself if the GOPATH is to stay in the droplet.
set_up_gopath() {
  local entry
  export GO111MODULE=off GOFLAGS="${GOFLAGS:+$GOFLAGS }-trimpath"
  unset GIT_DIR
  if [[ ${GO_SETUP_GOPATH_IN_IMAGE:-} == true ]]; then
    export GOPATH=$BUILD
    package_folder=$GOPATH/src/$package_name
    mkdir -p "$package_folder"
    for entry in "$BUILD"/* "$BUILD"/.[!.]*; do
      case ${entry##*/} in
        Procfile | .profile | .profile.d | src | bin | .cloudfoundry) ;;
        *) [[ ! -e $entry && ! -L $entry ]] || mv "$entry" "$package_folder/" ;;
      esac
    done
  else
    GOPATH=$(mktemp -d)
    export GOPATH GOBIN=$BUILD/bin
    package_folder=$GOPATH/src/$package_name
    mkdir -p "$package_folder"
    cp -a "$BUILD/." "$package_folder/"
  fi
  case $tool in
    godep) use_godep ;;
    glide) fetch_unsaved 'glide install' glide.lock ;;
    dep) fetch_unsaved 'dep ensure' Gopkg.lock ;;
  esac
}

# Godep kept dependencies in a GOPATH of their own, later in vendor/.
use_godep() {
  if [[ -d $package_folder/Godeps/_workspace/src ]]; then
    [[ ! -d $package_folder/vendor ]] || warn 'Godeps/_workspace/src and vendor/ exist: code may not compile. Please convert all deps to vendor/'
    GOPATH=$package_folder/Godeps/_workspace:$GOPATH
    runner='godep go'
  elif [[ ! -d $package_folder/vendor ]]; then
    warn 'vendor/ directory does not exist.'
  fi
}

# What dep and glide locked and the app did not vendor is fetched as modules, at the same revisions. usage: fetch_unsaved COMMAND LOCK_FILE
fetch_unsaved() {
  local locked=()
  if [[ -n $(find "$package_folder/vendor" -mindepth 1 -maxdepth 1 -type d -print -quit 2> /dev/null) ]]; then
    note "Note: skipping ($1) due to non-empty vendor directory."
    return
  fi
  step "Fetching any unsaved dependencies ($1)"
  note 'as Go modules'
  rm -rf "$package_folder/vendor"
  mapfile -t locked < <(python3 "$BUILDPACK_DIR/lib/locked.py" "$package_folder" "$2")
  use_modules
  run_go mod init "$package_name"
  ((${#locked[@]} == 0)) || run_go get "${locked[@]}"
  run_go mod tidy
}
