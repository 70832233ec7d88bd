#!/usr/bin/env bash
# Tests of what is packaged: units, manual pages, completions, and the packages of a binary.
#
#   packaging/tests/run.sh
#
# CFLITE_BINARY and PAGES name the binary and the program that writes pages; default: those of `cargo test`.
# A deb or rpm is made when its tool is there (packaging/tools); nothing is installed, nothing started.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
target=${CARGO_TARGET_DIR:-$PWD/target}
[[ $target == /* ]] || target=$PWD/$target
binary=${CFLITE_BINARY:-$target/debug/cflite}
export PAGES=${PAGES:-$target/debug/examples/pages}
export PATH=$target/tools/bin:$PATH
# The newest C library that all supported systems have: Debian 12, Ubuntu 22.04, RHEL 9.
readonly NEWEST_GLIBC=2.34
# Ten times what `systemd-analyze security` prints.
readonly MOST_EXPOSED=30
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# Runs a check, which fails by its status; it prints what is wrong.
check() {
    local name=$1 output
    if output=$("$name" 2>&1); then
        passed=$((passed + 1))
        echo "ok ${name//_/ }"
    else
        failed=$((failed + 1))
        echo "not ok ${name//_/ }"
        echo "    ${output//$'\n'/$'\n'    }"
    fi
}

# usage: needs COMMAND CHECK...
needs() {
    local command=$1 name
    shift
    for name; do
        if command -v "$command" >/dev/null; then check "$name"; else echo "skipped ${name//_/ }: no $command"; fi
    done
}

expect() {
    [[ $1 == "$2" ]] || { diff <(echo "$1") <(echo "$2"); return 1; }
}

# Units as they are, with a program that exists.
unit_root() {
    mkdir -p "$work/units/user"
    local unit
    for unit in packaging/systemd/*.service packaging/systemd/*.socket packaging/systemd/user/*.service; do
        sed 's#/usr/bin/cflite#/bin/true#' "$unit" >"$work/units/${unit#packaging/systemd/}"
    done
}

units_are_valid() {
    local output
    unit_root
    output=$(cd "$work/units" && systemd-analyze verify --man=no ./cflite.service ./cflite-http.socket ./cflite-https.socket ./cflite-ssh.socket 2>&1
        XDG_RUNTIME_DIR=$work systemd-analyze --user verify --man=no ./user/cflite.service 2>&1)
    # Other units of this machine are not ours.
    ! grep -E 'cflite|Failed' <<<"$output"
}

units_of_the_box_are_valid() {
    local unit output
    mkdir -p "$work/box-units"
    for unit in packaging/box/root/usr/lib/systemd/system/*.service; do
        sed -E 's#=/usr/lib/cflite-box/[a-z]+#=/bin/true#' "$unit" >"$work/box-units/${unit##*/}"
    done
    output=$(cd "$work/box-units" && systemd-analyze verify --man=no ./*.service 2>&1)
    ! grep -E 'box-|Failed' <<<"$output"
}

the_service_is_hardened() {
    unit_root
    systemd-analyze security --offline=true --no-pager --threshold=$MOST_EXPOSED "$work/units/cflite.service" | tail -n 1
    return "${PIPESTATUS[0]}"
}

units_name_files_of_the_package() {
    ! grep -hE '^(Exec|Environment)' packaging/systemd/*.service packaging/systemd/user/*.service |
        grep -oE '/[a-z]+/[a-z./-]+' | grep -vxE '/usr/bin/cflite|/bin/sh|/var/lib/cflite|/etc/cflite/cflite.toml|/etc/default/cflite|/cflite/environment'
}

pages_have_no_faults() {
    local page output status=0
    for page in "$work"/stage/man/*; do
        output=$(man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null)
        [[ -z $output ]] || { echo "${page##*/}: $output"; status=1; }
    done
    return $status
}

every_option_has_a_place_in_the_page_of_the_file() {
    local key status=0
    for key in $("$binary" --data-dir "$work/none" config --json | jq -r 'keys[]'); do
        grep -qE "^\.BR .*\b$key\b" packaging/man/cflite.toml.5 || { echo "no $key"; status=1; }
    done
    [[ ${key:-} ]] || { echo 'no options'; status=1; }
    return $status
}

every_command_has_a_page() {
    local name status=0
    for name in $("$binary" --help | sed -n '/^Commands:/,/^$/p' | awk '/^  [a-z]/ {print $1}' | grep -vx help); do
        [[ -e $work/stage/man/cflite-$name.1 ]] || { echo "no page for $name"; status=1; }
    done
    [[ ${name:-} ]] || { echo 'no commands'; status=1; }
    return $status
}

the_packaged_configuration_is_valid() {
    # Also with what is commented out.
    sed -E 's/^#([a-z-]+ = )/\1/' packaging/cflite.toml >"$work/all.toml"
    grep -qE '^[a-z-]+ = ' "$work/all.toml" || return 1
    "$binary" config --data-dir "$work/none" --config packaging/cflite.toml >/dev/null &&
        "$binary" config --data-dir "$work/none" --config "$work/all.toml" >/dev/null
}

completions_of_bash_can_be_read() {
    # shellcheck disable=SC2016 # for the other shell
    bash -euc 'source "$1"; complete -p cflite' - "$work/stage/completions/cflite"
}
completions_of_zsh_can_be_read() { zsh -n "$work/stage/completions/_cflite"; }
completions_of_fish_can_be_read() { fish -n "$work/stage/completions/cflite.fish"; }

the_binary_needs_no_newer_c_library() {
    local newest
    newest=$(objdump -T "$binary" | grep -oE 'GLIBC_[0-9.]+' | sort -Vu | tail -n 1)
    echo "$newest"
    [[ $newest ]] && printf '%s\n' "${newest#GLIBC_}" $NEWEST_GLIBC | sort -V -C
}

the_bill_names_every_linked_crate() {
    jq -e '.bomFormat == "CycloneDX" and (.components | length) > 100
        and ([.components[].name] | index("tokio")) and ([.components[].name] | index("insta") | not)
        and (.serialNumber | test("^urn:uuid:[0-9a-f-]{36}$"))' "$work/stage/sbom.json" &&
        zcat "$work/stage/third-party-licenses.gz" | grep '^tokio '
}

# The tarball's script, below a folder of its own.
the_tarball_installs_and_removes_itself() {
    local folder=$work/tarball root=$work/root
    mkdir -p "$folder"
    tar -xzf "$work"/dist/cflite-*.tar.gz -C "$folder" --strip-components=1 || return 1
    DESTDIR=$root "$folder/install.sh" --prefix /opt/cflite || return 1
    "$root/opt/cflite/bin/cflite" --version || return 1
    grep -q '^ExecStart=/opt/cflite/bin/cflite ' "$root/opt/cflite/lib/systemd/system/cflite.service" || return 1
    echo '# mine' >>"$root/etc/cflite/cflite.toml"
    # An upgrade keeps the settings and removes what is not part of the new version.
    touch "$root/opt/cflite/bin/old" && echo /opt/cflite/bin/old >>"$root/opt/cflite/share/cflite/installed"
    DESTDIR=$root "$folder/install.sh" --prefix /opt/cflite || return 1
    grep -q '^# mine' "$root/etc/cflite/cflite.toml" || return 1
    [[ ! -e $root/opt/cflite/bin/old ]] || return 1
    DESTDIR=$root "$folder/install.sh" --uninstall --prefix /opt/cflite || return 1
    expect "$(cd "$root" && find . -type f)" ./etc/cflite/cflite.toml
}

a_damaged_tarball_is_refused() {
    local folder=$work/damaged
    mkdir -p "$folder"
    tar -xzf "$work"/dist/cflite-*.tar.gz -C "$folder" --strip-components=1 || return 1
    echo '#' >>"$folder/man/cflite.1"
    ! DESTDIR=$work/never "$folder/install.sh" --prefix /opt/cflite && [[ ! -e $work/never ]]
}

deb_files() { dpkg-deb -c "$work/cflite.deb" | awk '$1 !~ /^d/ {print substr($6, 2)}' | LC_ALL=C sort; }

the_deb_has_these_files() {
    cargo-deb --no-build --no-strip --fast --output "$work/cflite.deb" >/dev/null || return 1
    expect "$(deb_files | grep -v '^/usr/share/man/man1/')" "$(<packaging/tests/deb-files.txt)" &&
        expect "$(deb_files | grep -c '^/usr/share/man/man1/')" "$(find "$work/stage/man" -name '*.1' | wc -l)" &&
        expect "$(dpkg-deb -I "$work/cflite.deb" conffiles)" /etc/cflite/cflite.toml &&
        expect "$(dpkg-deb -c "$work/cflite.deb" | awk '$2 != "0/0"')" ''
}

the_deb_has_no_faults() {
    # Debian's archive wants a bug number and unstripped debug packages; this is neither there nor built for it.
    lintian --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs,unstripped-binary-or-object \
        --allow-root "$work/cflite.deb"
}

the_rpm_has_these_files() {
    cargo-generate-rpm --payload-compress gzip --source-date 1700000000 --output "$work/cflite.rpm" >/dev/null || return 1
    rpm -K --nosignature "$work/cflite.rpm" &&
        expect "$(rpm -qpl "$work/cflite.rpm" | grep -v '^/usr/share/man/man1/' | LC_ALL=C sort)" "$(<packaging/tests/rpm-files.txt)" &&
        expect "$(rpm -qp --configfiles "$work/cflite.rpm")" /etc/cflite/cflite.toml
}

# The texts with a stand-in for the deb, whose checksum they have.
texts_are_filled_in() {
    echo deb >"$work/dist/cflite_0-1_amd64.deb" && touch "$work/dist/cflite-0-x86_64-linux-gnu.tar.gz"
    (cd "$work/checkout" && packaging/texts/fill 0 amd64) || return 1
    ! grep -n '@' "$work/dist/cflite-0.cloud-init.yaml" "$work/dist/cflite-0.lima.yaml" "$work/dist/cflite.rb" | grep -E '@[A-Z_0-9]+@' &&
        grep -q "$(sha256sum <"$work/dist/cflite_0-1_amd64.deb" | cut -d ' ' -f 1)" "$work/dist/cflite-0.cloud-init.yaml"
}

scripts_in_texts_have_no_faults() {
    local file name status=0
    for file in cloud-init lima; do
        name=$work/$file.sh
        {
            echo '#!/bin/bash'
            scripts_of "$work/dist/cflite-0.$file.yaml"
        } >"$name"
        grep -q 'cflite images build' "$name" || { echo "$file: no script"; status=1; }
        # Lines of one script after the other begin with the first line of each.
        shellcheck --exclude=SC2096,SC1128 "$name" || status=1
    done
    return $status
}

# The scripts in a YAML file.
scripts_of() {
    python3 - "$1" <<'END'
import re
import sys

# A block after "|" is a script; its indentation is that of its first line.
lines = open(sys.argv[1]).read().split("\n")
at = 0
while at < len(lines):
    begins = re.match(r"( *)(- |script: |.*: )\|$", lines[at])
    at += 1
    if not begins:
        continue
    indent = len(lines[at]) - len(lines[at].lstrip())
    block = []
    while at < len(lines) and (not lines[at].strip() or lines[at].startswith(" " * indent)):
        block.append(lines[at][indent:])
        at += 1
    if "bind =" not in block[0]:
        print("\n".join(block))
END
}

the_formula_is_ruby() { ruby -c "$work/dist/cflite.rb"; }

# Boxes of a disk without anything on it, in the layouts of the real ones.
boxes_are_packed() {
    local kind
    mkdir -p "$work/boxes"
    truncate --size 1G "$work/boxes/raw"
    for kind in libvirt virtualbox vmware; do
        packaging/box/provider $kind "$work/boxes/raw" "$work/boxes/cflite-0.1.0-amd64.$kind.box" 1 || return 1
    done
    packaging/box/provider ova "$work/boxes/raw" "$work/boxes/cflite.ova" 1 || return 1
    expect "$(tar -tzf "$work/boxes/cflite-0.1.0-amd64.libvirt.box")" $'metadata.json\nVagrantfile\nbox.img' &&
        expect "$(tar -tzf "$work/boxes/cflite-0.1.0-amd64.virtualbox.box")" \
            $'metadata.json\nVagrantfile\nbox.ovf\ncflite-disk001.vmdk' &&
        expect "$(tar -tzf "$work/boxes/cflite-0.1.0-amd64.vmware.box")" \
            $'metadata.json\nVagrantfile\ncflite.vmx\ncflite.vmdk' &&
        # Its reader looks for the description first.
        expect "$(tar -tf "$work/boxes/cflite.ova")" $'cflite.ovf\ncflite.mf\ncflite-disk001.vmdk' || return 1
    mkdir -p "$work/boxes/ova" && tar -xf "$work/boxes/cflite.ova" -C "$work/boxes/ova" || return 1
    (cd "$work/boxes/ova" && sed -E 's/^SHA256\((.*)\)= (.*)/\2  \1/' cflite.mf | sha256sum --check --quiet) &&
        python3 - "$work/boxes/ova" <<'END'
import os
import sys
import xml.etree.ElementTree as tree

ovf = "{http://schemas.dmtf.org/ovf/envelope/1}"
root = tree.parse(sys.argv[1] + "/cflite.ovf").getroot()
file = root.find(f"{ovf}References/{ovf}File")
disk = root.find(f"{ovf}DiskSection/{ovf}Disk")
assert int(file.get(ovf + "size")) == os.path.getsize(f"{sys.argv[1]}/{file.get(ovf + 'href')}")
assert disk.get(ovf + "capacity") == str(1 << 30) and disk.get(ovf + "fileRef") == file.get(ovf + "id")
END
}

the_vagrantfile_is_valid() {
    VAGRANT_HOME=$work/vagrant VAGRANT_DOTFILE_PATH=$work/vagrant.state vagrant validate --ignore-provider
}

# usage: adds_box PROVIDER
adds_box() {
    VAGRANT_HOME=$work/vagrant vagrant box add --no-tty --provider "$1" "file://$work/boxes/cflite.json" 2>&1
}

vagrant_adds_the_boxes_of_the_catalogue() {
    [[ -d $work/boxes ]] || { echo 'there are no boxes'; return 1; }
    packaging/box/catalogue 0.1.0 "$work/boxes" "file://$work/boxes" >"$work/boxes/cflite.json" || return 1
    adds_box libvirt && adds_box virtualbox || return 1
    expect "$(VAGRANT_HOME=$work/vagrant vagrant box list | grep -c '^cflite/cflite *([a-z]*, 0.1.0')" 2 || return 1
    # Another box under a checksum of the catalogue.
    cp "$work/boxes/cflite-0.1.0-amd64.libvirt.box" "$work/boxes/cflite-0.1.0-amd64.vmware.box"
    ! adds_box vmware_desktop >"$work/log" && grep -qi checksum "$work/log"
}

no_package_has_secrets() {
    ! find "$work/tarball" -name admin-password -o -name secret-key -o -name platform-id -o -name '*.pem' | grep .
}

# The scripts write below dist/ of their checkout: they work in one of links, and the real one stays as it is.
mkdir -p "$work/checkout/dist"
for entry in *; do
    [[ $entry == dist || $entry == packaging ]] || ln -s "$PWD/$entry" "$work/checkout/$entry"
done
cp -r packaging "$work/checkout/packaging"
ln -s checkout/dist "$work/dist"
ln -s checkout/dist/stage "$work/stage"
objcopy --strip-all "$binary" "$work/binary" || exit 1
export SOURCE_DATE_EPOCH=1700000000
(cd "$work/checkout" && GZIP_LEVEL=1 packaging/dist --binary "$work/binary" --only tarball) >/dev/null || exit 1

needs systemd-analyze units_are_valid units_of_the_box_are_valid the_service_is_hardened
check units_name_files_of_the_package
needs man pages_have_no_faults
check every_option_has_a_place_in_the_page_of_the_file
check every_command_has_a_page
check the_packaged_configuration_is_valid
check completions_of_bash_can_be_read
needs zsh completions_of_zsh_can_be_read
needs fish completions_of_fish_can_be_read
needs objdump the_binary_needs_no_newer_c_library
check the_bill_names_every_linked_crate
check the_tarball_installs_and_removes_itself
check a_damaged_tarball_is_refused
check texts_are_filled_in
needs shellcheck scripts_in_texts_have_no_faults
needs ruby the_formula_is_ruby
check no_package_has_secrets
needs qemu-img boxes_are_packed
needs vagrant the_vagrantfile_is_valid
if command -v qemu-img >/dev/null; then needs vagrant vagrant_adds_the_boxes_of_the_catalogue; fi
cd "$work/checkout" || exit 1
# What is tested of these is all but the binary: a small one is packed in seconds.
install -m 755 /bin/true dist/stage/cflite
needs cargo-deb the_deb_has_these_files
[[ ! -e $work/cflite.deb ]] || needs lintian the_deb_has_no_faults
if command -v rpm >/dev/null; then needs cargo-generate-rpm the_rpm_has_these_files; fi
echo "$passed passed, $failed failed"
((failed == 0))
