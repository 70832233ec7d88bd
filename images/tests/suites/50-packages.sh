# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here

# Writes a zip with one entry. usage: make_zip FILE NAME TEXT [link]
make_zip() {
  docker run --rm -i "${LABELS[@]}" --network none --entrypoint python3 "$IMAGES_BUILD" -c '
import sys, zipfile
name, text, link = sys.argv[1], sys.argv[2], len(sys.argv) > 3
archive = zipfile.ZipFile(sys.stdout.buffer, "w")
entry = zipfile.ZipInfo(name)
entry.create_system = 3
entry.external_attr = (0o120777 if link else 0o100755) << 16
archive.writestr(entry, text)
archive.close()' "${@:2}" > "$1"
}

printf 'PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0' > "$work/empty.zip"
stage --zip "$work/empty.zip" - --skip-detect --buildpack binary=binary_buildpack
check 'a package without files stages' equals "$code" 0
make_zip "$work/app.zip" bin/Ω run
stage --zip "$work/app.zip" - --skip-detect --buildpack binary=binary_buildpack
check 'modes and UTF-8 names of the package are kept' equals "$(tar -tvf "$work/droplet.tar" --quoting-style=literal | sed -n 's/^\(-[^ ]*\).* home.vcap.app/\1 /p')" '-rwxr-xr-x /bin/Ω'
make_zip "$work/app.zip" ../outside text
stage --zip "$work/app.zip" - --skip-detect --buildpack binary=binary_buildpack
check 'an entry outside of the app is refused' equals "$code" 1
check 'and named' contains "$log" 'outside of its folder: ../outside'
make_zip "$work/app.zip" /absolute text
stage --zip "$work/app.zip" - --skip-detect --buildpack binary=binary_buildpack
check 'an absolute entry is refused' equals "$code" 1
for target in /usr/bin/python3 ../../etc/passwd python3; do
  make_zip "$work/app.zip" venv/bin/python "$target" link
  stage --zip "$work/app.zip" - --skip-detect --buildpack binary=binary_buildpack
  check "a link to $target is kept" contains "$(tar -tvf "$work/droplet.tar")" "home/vcap/app/venv/bin/python -> $target"
done
make_zip "$work/app.zip" link bin/target link
stage --zip "$work/app.zip" - --skip-detect --buildpack binary=binary_buildpack
check 'a link that stays inside is kept' contains "$(tar -tvf "$work/droplet.tar")" 'home/vcap/app/link -> bin/target'
echo 'no zip' > "$work/app.zip"
stage --zip "$work/app.zip" - --skip-detect --buildpack binary=binary_buildpack
check 'something that is no zip is refused' equals "$code" 1
