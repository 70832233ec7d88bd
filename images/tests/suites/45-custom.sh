# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here

# A custom buildpack as a git repository and as a zip, both made inside the container: cloning and downloading need no network.
rm -rf "$work/custom" && mkdir -p "$work/custom"
cat > "$work/custom/prepare" << 'PREPARE'
set -e
cp -r /tmp/buildpacks/nested/buildpack-main /tmp/remote
cd /tmp/remote
git init -q -b main . && git config user.email a@b.c && git config user.name n
git add . && git commit -qm first
git checkout -q -b other && sed -i 's/nested buildpack/branched buildpack/' bin/compile && git commit -qam second && git checkout -q main
(cd /tmp/buildpacks/nested && zip -qr /tmp/remote.zip .)
PREPARE
echo 'an app' > "$work/custom/file.txt"

stage "$work/custom" --skip-detect --custom file:///tmp/remote
check 'a custom buildpack is cloned' contains "$log" 'nested buildpack compiled'
check 'its key is its URL' equals "$(result_of .lifecycle_metadata.buildpack_key)" file:///tmp/remote
stage "$work/custom" --skip-detect --custom 'file:///tmp/remote#other'
check 'a branch is cloned' contains "$log" 'branched buildpack compiled'
stage "$work/custom" --skip-detect --custom file:///tmp/remote.zip
check 'a zip is downloaded and keeps its modes' contains "$log" 'nested buildpack compiled'
