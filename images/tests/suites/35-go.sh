# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here
go=(--buildpack staticfile=staticfile_buildpack --buildpack go=go_buildpack)
kept=$work/go-cache.tar

# Whether the place that Go comes from answers in a container.
go_is_had() {
  docker run --rm "${LABELS[@]}" --entrypoint curl "$IMAGES_BUILD" -sf -o /dev/null --max-time 20 https://proxy.golang.org/golang.org/toolchain/@v/list
}

feature go 'an outdated `.godir` is refused'
stage "$fixtures/go-godir" "${go[@]}"
check 'a .godir is detected, and refused by name' contains "$code $log" '223 '
check 'and the way out is named' contains "$log" '.godir is deprecated: give the app a go.mod instead'
feature go 'a version that cannot be fetched is named in one line'
stage "$fixtures/go-modules" "${go[@]}"
check 'without a network and a kept Go the cause is one line' contains "$log" 'no match found for 1.23.x: go.mod line 3 asks for it, and the list of Go'"'"'s versions cannot be read'

feature go '`go.mod`, `vendor/` and `//go:embed`; the toolchain stays out of the droplet'
feature go 'the newest fix of the Go that `go.mod` names, verified by the checksum database'
feature go 'restage without a network'
feature go '`GO_INSTALL_PACKAGE_SPEC` with several packages, `GO_LINKER_SYMBOL`, `buildpack.yml` ldflags, the tag `cloudfoundry`, C code'
feature go 'a version that cannot be had is refused with the list'
feature go '`GOPACKAGENAME` with `vendor/`'
feature go 'Godeps with its workspace'
feature go 'what dep has locked, fetched as Go modules; `go.sum` and modules kept for the next staging'
feature go '`GO_INSTALL_TOOLS_IN_IMAGE` and `GO_SETUP_GOPATH_IN_IMAGE`'
feature go 'supplies Go to another buildpack'
if go_is_had; then
  # Compiling Go's own library takes its time.
  STAGE_SECONDS=$((STAGE_SECONDS > 900 ? STAGE_SECONDS : 900)) stage --network bridge "$samples/go" "${go[@]}"
  check 'the sample go stages' equals "$code" 0
  check 'with the newest fix of its Go' contains "$log" '-----> Installing go 1.23.12'
  check 'and the familiar command' contains "$log" '-----> Running: go install -tags cloudfoundry -buildmode pie .'
  check 'its start command is its module' equals "$(result_of .process_types.web)" ./bin/hello
  check 'of the buildpack only its profile is in the droplet' equals "$(tar -tf "$work/droplet.tar" | grep -E '^home/vcap/deps/0/.*[^/]$' | paste -sd ' ')" \
    'home/vcap/deps/0/config.yml home/vcap/deps/0/profile.d/go.sh'
  check 'no path of staging is in the program' equals "$(tar -xOf "$work/droplet.tar" home/vcap/app/bin/hello | grep -acE '/tmp/(app|contents)')" 0
  launch ''
  check 'it answers with its page and its vendored module' contains "$(answer /)" '<p>instance 0, go1.23.12, at '
  stop
  cp "$work/output-cache.tar" "$kept"

  stage --cache "$kept" "$samples/go" "${go[@]}"
  check 'it stages again without a network' contains "$code $log" 'Go 1.23.12: kept from an earlier staging'

  stage --cache "$kept" --env 'GO_INSTALL_PACKAGE_SPEC=./cmd/web example.org/shop/v2/cmd/worker' --env GO_LINKER_SYMBOL=main.fromEnvironment \
    --env GO_LINKER_VALUE=variable "$fixtures/go-modules" "${go[@]}"
  check 'several packages are installed, the first one starts' equals "$code $(result_of .process_types.web)" '0 ./bin/web'
  launch ''
  check 'with what is linked in, the tag, C code, and no path of staging' equals "$(answer /)" \
    'variable file two words 42 cloudfoundry example.org/shop/v2/cmd/web/main.go'
  stop
  launch bin/worker
  finish
  check 'the second program is there, too' contains "$log" worked

  stage --network bridge "$fixtures/go-too-new" "${go[@]}"
  check 'a Go that cannot be had fails the staging in one line with those that can' \
    grep -qE 'no match found for 1\.99\.x: go\.mod line 3 asks for it; there are Go 1\.20\.[0-9]+, .*1\.23\.12' <<< "$log"
  stage --env GOVERSION=tip --network bridge "$fixtures/go-too-new" "${go[@]}"
  check 'what is no version is told' contains "$log" "the variable GOVERSION asks for Go 'tip', which is no version"

  stage --cache "$kept" --env GOPACKAGENAME=example.org/site "$fixtures/go-gopath" "${go[@]}"
  check 'an app without go.mod is compiled in a GOPATH' equals "$code $(result_of .process_types.web)" '0 ./bin/site'
  launch ''
  check 'with its vendored package, without the toolchain' equals "$(answer /)" '7 /home/vcap/app '
  stop
  stage --cache "$kept" "$fixtures/go-gopath" "${go[@]}"
  check 'it needs GOPACKAGENAME' contains "$code $log" 'To use go native vendoring set the $GOPACKAGENAME'
  stage --cache "$kept" --env GOPACKAGENAME=example.org/site --env GO_INSTALL_TOOLS_IN_IMAGE=true --env GO_SETUP_GOPATH_IN_IMAGE=true \
    "$fixtures/go-gopath" "${go[@]}"
  launch ''
  check 'the toolchain and the GOPATH stay if they are asked for' contains "$(answer /)" '7 /home/vcap/app/src/example.org/site go version go1.23.12'
  stop

  stage --cache "$kept" "$fixtures/go-godep" "${go[@]}"
  check 'Godeps with its workspace is compiled' contains "$code $log" '-----> Running: godep go install -tags cloudfoundry -buildmode pie .'
  launch ''
  check 'and answers' contains "$(answer /)" '7 /home/vcap/app'
  stop

  stage --network bridge --cache "$kept" --env GOPACKAGENAME=example.org/decoder "$fixtures/go-dep" "${go[@]}"
  check 'what dep has locked is fetched' contains "$code $log" '-----> Fetching any unsaved dependencies (dep ensure)'
  cp "$work/output-cache.tar" "$kept"
  stage --cache "$kept" --env GOPACKAGENAME=example.org/decoder "$fixtures/go-dep" "${go[@]}"
  check 'and not again by the next staging' equals "$code" 0
  launch ''
  finish
  check 'its program runs' contains "$log" 'decoded 7 <nil>'

  mkdir -p "$work/supplied"
  printf 'web: go version && go env GOROOT\n' > "$work/supplied/Procfile"
  stage --network bridge --env GOVERSION=go1.23 "$work/supplied" --skip-detect --buildpack go=go_buildpack --buildpack binary=binary_buildpack
  check 'another buildpack can follow' equals "$code" 0
  launch ''
  finish
  check 'and its app finds Go' contains "$log" $'go version go1.23.12 linux/amd64\n/home/vcap/deps/0/go'
else
  skipped=$((skipped + 24))
  echo 'skip  the Go module proxy does not answer in a container: compiling Go apps'
fi
