# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here

# Detects an app with one file and refuses it. usage: check_refused BUILDPACK FILE EXPECTED
check_refused() {
  rm -rf "$work/refused"
  mkdir -p "$work/refused/$(dirname "$2")"
  echo '{}' > "$work/refused/$2"
  stage "$work/refused" --buildpack "dotnet_core=dotnet_core_buildpack" --buildpack "r=r_buildpack" --buildpack nodejs=nodejs_buildpack
  check "$1 refuses an app with $2" equals "$code" 223
  check "and names what it found and what to do ($2)" contains "$(grep -F '**ERROR**' <<< "$log")" "$3"
}

feature dotnet_core 'detects an app and refuses it by name: a custom buildpack is needed'
check_refused dotnet_core src/web/web.csproj 'src/web/web.csproj asks for .NET, which cflite does not bring: name a buildpack that does with cf push -b URL'
check_refused dotnet_core lib.fsproj 'lib.fsproj asks for .NET'
check_refused dotnet_core web.runtimeconfig.json 'an app published with --self-contained runs with -b binary_buildpack'
feature r 'detects an app and refuses it by name: a custom buildpack is needed'
check_refused r r.yml 'r.yml asks for R, which cflite does not bring: name a buildpack that does with cf push -b URL'
feature dotnet_core 'a project in node_modules does not make an app one for .NET'
rm -rf "$work/refused"
mkdir -p "$work/refused/node_modules/edge"
echo '{}' > "$work/refused/node_modules/edge/edge.csproj"
stage "$work/refused" --buildpack dotnet_core=dotnet_core_buildpack --buildpack r=r_buildpack
check 'it is not detected' equals "$code" 222
check 'what is looked for is named' contains "$log" 'dotnet_core_buildpack (*.runtimeconfig.json, or *.csproj, *.fsproj or *.vbproj in any folder), r_buildpack (r.yml)'
