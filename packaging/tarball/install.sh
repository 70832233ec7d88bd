#!/bin/sh
# Installs cflite from this folder, without a network, and removes it again.
#
#   ./install.sh [--prefix DIR] [--service]     check the files and install them
#   ./install.sh --uninstall [--prefix DIR]     remove what was installed; data stay
#
#   --prefix DIR   default: /usr/local as root, else ~/.local
#   --service      as root: also the user cflite, in the group docker, for the systemd service
#
# Every file is compared with SHA256SUMS before anything is written. What is installed is listed in
# PREFIX/share/cflite/installed, and only that is removed. Nothing is started.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
prefix=''
service=false
action=install
# The destination below which PREFIX is, for packagers and tests.
destination=${DESTDIR:-}

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

while [ $# -gt 0 ]; do
    case $1 in
        --prefix) [ $# -gt 1 ] || fail '--prefix needs a folder'; prefix=$2; shift ;;
        --service) service=true ;;
        --uninstall) action=uninstall ;;
        *) sed -n 's/^# \{0,1\}//; 2,/^$/p' "$0" >&2; exit 2 ;;
    esac
    shift
done
if [ -z "$prefix" ]; then
    if [ "$(id -u)" -eq 0 ]; then prefix=/usr/local; else prefix=${HOME:?}/.local; fi
fi
case $prefix in
    /*) ;;
    *) fail "--prefix $prefix is not an absolute path" ;;
esac
list=$destination$prefix/share/cflite/installed

# Which program checks sums; all of them take the same list.
check_sums() {
    if command -v sha256sum >/dev/null; then
        sha256sum --check --quiet SHA256SUMS
    elif command -v shasum >/dev/null; then
        shasum -a 256 --check --quiet SHA256SUMS
    else
        fail 'neither sha256sum nor shasum is installed: the files cannot be checked'
    fi
}

# usage: put FILE FOLDER MODE [NAME]
put() {
    name=${4:-$(basename "$1")}
    mkdir -p "$destination$2"
    # Renamed into its place: a running cflite keeps its file, and nobody starts half of one.
    cp "$1" "$destination$2/.$name.new"
    chmod "$3" "$destination$2/.$name.new"
    mv -f "$destination$2/.$name.new" "$destination$2/$name"
    echo "$2/$name" >>"$list.new"
}

# The units name the folder of the binary.
put_unit() {
    unit=$(mktemp)
    sed "s#/usr/bin/cflite#$prefix/bin/cflite#" "$1" >"$unit"
    put "$unit" "$2" 644 "$(basename "$1")"
    rm -f "$unit"
}

reload() {
    if [ -z "$destination" ] && [ "$(id -u)" -eq 0 ] && [ -d /run/systemd/system ]; then
        systemctl daemon-reload || true
    fi
}

uninstall() {
    [ -e "$list" ] || fail "nothing is installed below $prefix: there is no $list"
    if [ -z "$destination" ] && [ "$(id -u)" -eq 0 ] && [ -d /run/systemd/system ]; then
        systemctl --quiet disable --now cflite-http.socket cflite-https.socket cflite-ssh.socket cflite.service 2>/dev/null || true
    fi
    while IFS= read -r file; do
        rm -f "$destination$file"
    done <"$list"
    rm -f "$list"
    rmdir "$destination$prefix/share/cflite" 2>/dev/null || true
    reload
    echo "cflite was removed from $prefix. Data, containers and images are kept: \"cflite reset\" removes"
    echo 'them, and has to be run before.'
}

add_user() {
    [ "$(id -u)" -eq 0 ] || fail '--service needs root'
    getent group docker >/dev/null || groupadd --system docker
    getent passwd cflite >/dev/null ||
        useradd --system --user-group --groups docker --home-dir /var/lib/cflite --no-create-home \
            --shell /usr/sbin/nologin --comment 'cflite service' cflite
}

install_all() {
    cd "$here"
    check_sums || fail 'a file differs from SHA256SUMS; nothing was installed'
    ! $service || add_user
    mkdir -p "$(dirname "$list")"
    # What an earlier version installed and this one does not is removed at the end.
    : >"$list.new"
    put cflite "$prefix/bin" 755
    for page in man/*; do
        put "$page" "$prefix/share/man/man${page##*.}" 644
    done
    put completions/cflite "$prefix/share/bash-completion/completions" 644
    put completions/_cflite "$prefix/share/zsh/site-functions" 644
    put completions/cflite.fish "$prefix/share/fish/vendor_completions.d" 644
    for file in LICENSE CHANGELOG.md third-party-licenses.gz; do
        put "$file" "$prefix/share/doc/cflite" 644
    done
    if [ "$(id -u)" -eq 0 ]; then
        for unit in systemd/*.service systemd/*.socket; do
            put_unit "$unit" "$prefix/lib/systemd/system"
        done
        put_unit systemd/user/cflite.service "$prefix/lib/systemd/user"
        # Settings of a person are kept, and never removed.
        if [ ! -e "$destination/etc/cflite/cflite.toml" ]; then
            mkdir -p "$destination/etc/cflite"
            cp cflite.toml "$destination/etc/cflite/cflite.toml"
        fi
    else
        put_unit systemd/user/cflite.service "$prefix/share/systemd/user"
    fi
    if [ -e "$list" ]; then
        while IFS= read -r file; do
            grep -qxF -- "$file" "$list.new" || rm -f "$destination$file"
        done <"$list"
    fi
    mv -f "$list.new" "$list"
    reload
    echo "cflite was installed below $prefix; nothing was started. Next: \"cflite images build\", \"cflite up\"."
    case :$PATH: in
        *":$prefix/bin:"*) ;;
        *) echo "$prefix/bin is not on PATH." ;;
    esac
}

case $action in
    install) install_all ;;
    uninstall) uninstall ;;
esac
