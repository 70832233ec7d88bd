# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here

# Runs a script as vcap on one of the images. usage: on IMAGE SCRIPT
on() {
  docker run --rm "${LABELS[@]}" --network none --user 2000:2000 --env PATH=/usr/local/bin:/usr/bin:/bin --env LANG=en_US.UTF-8 \
    --entrypoint /bin/bash "$1" -c "$2" 2>&1
}

# Prints those of the commands that an image lacks, also where only administrators look. usage: lacking IMAGE COMMANDS
lacking() { on "$1" "PATH=\$PATH:/usr/sbin:/sbin; for tool in ${2//$'\n'/ }; do command -v \$tool > /dev/null || echo \$tool; done"; }

# What Cloud Foundry's stack offers, by kind. Left out, because of their size or because nothing in a container can use them: gdb, ImageMagick,
# Graphviz, Mercurial, Bazaar, sshfs (no FUSE), sudo (vcap has no rights to gain), quota, systemd's files, all locales but one.
feature custom 'the commands of Cloud Foundry'"'"'s stack: shells, text, network, archives, Git and Subversion, compilers, languages, apt'
for tools in 'bash sh env awk mawk sed grep find xargs file less vi jq xxd rsync diff patch locale' \
  'curl wget nc dig host nslookup ip ss ping tracepath traceroute tcpdump ifconfig netstat ssh scp sftp sshd ssh-keygen lsof kinit' \
  'zip unzip tar xz lzma bzip2 gzip git' 'apt apt-get dpkg crontab logrotate pstree fuser killall ps top free' \
  'perl shasum sqlite3 openssl python python3 pip node npm npx yarn ruby gem bundle rake nginx'; do
  check "the run image has: ${tools:0:60}…" equals "$(lacking "$IMAGES_RUN" "$tools")" ''
done
check 'the build image has compilers and what builds need' equals "$(lacking "$IMAGES_BUILD" \
  'gcc g++ cc make autoconf automake bison flex m4 cmake strace pkg-config libtoolize gettext gpg svn')" ''
feature custom 'the headers of Cloud Foundry'"'"'s stack, less those of media and LAPACK'
check 'the build image has headers' equals "$(on "$IMAGES_BUILD" 'for name in openssl libcurl libxml-2.0 libxslt libpq libmariadb sqlite3 odbc libffi \
  yaml-0.1 readline ncurses gmp icu-uc liblzma ldap libsasl2 krb5 libmagic librtmp blas libexif libgcrypt gnutls uuid libpng libjpeg zlib; do
  pkg-config --exists $name || echo $name; done; test -f /usr/include/bzlib.h || echo bzip2')" ''
check 'compilers are in the build image only' equals \
  "$(on "$IMAGES_BUILD" 'command -v gcc make cmake | wc -l')/$(on "$IMAGES_RUN" 'command -v gcc make cmake | wc -l')" 3/0
check 'vcap is who apps run as' equals "$(on "$IMAGES_RUN" 'id -un; id -u; id -g; getent passwd vcap | cut -d: -f6,7' | tr '\n' ' ')" 'vcap 2000 2000 /home/vcap:/bin/bash '
check '/app is the app folder, and writable' equals "$(on "$IMAGES_RUN" 'touch /app/x && ls /home/vcap/app')" x
check 'the locale exists' equals "$(on "$IMAGES_RUN" 'perl -e "print qq(quiet\n)"; locale -a | grep -c en_US.utf8; python -c "print(\"Ω\".lower())"')" $'quiet\n1\nω'
check 'the stack is known by its code name' contains "$(on "$IMAGES_RUN" 'cat /etc/lsb-release')" DISTRIB_CODENAME=jammy
check 'the dynamic modules of nginx are there' equals "$(on "$IMAGES_RUN" 'cd /usr/lib/nginx/modules && echo *')" 'ngx_mail_module.so ngx_stream_module.so'
check 'netcat is the one of OpenBSD' contains "$(on "$IMAGES_RUN" 'nc -h')" OpenBSD
feature nginx 'an nginx.conf with the defaults of Debian starts without root'
check 'an nginx.conf of any kind starts as vcap' contains \
  "$(on "$IMAGES_RUN" 'cd; printf "events {}\nhttp { server { listen 8080; return 200 fine; } }" > n.conf; nginx -c ~/n.conf && curl -s localhost:8080')" fine
check 'Python, Node.js and Ruby can do TLS' equals \
  "$(on "$IMAGES_RUN" 'python -c "import ssl; print(len(ssl.create_default_context().get_ca_certs()) > 50)"; node -p "require(\"tls\").rootCertificates.length > 50"; ruby -ropenssl -e "p OpenSSL::SSL::SSLContext.new.set_params.any?"' | LC_ALL=C sort -u)" $'True\ntrue'
check 'the images hold no authorities of the machine that built them' equals \
  "$(for image in "$IMAGES_RUN" "$IMAGES_BUILD"; do on "$image" 'find /usr/local/share/ca-certificates -type f | wc -l'; done | tr '\n' ' ')" '0 0 '
check 'the build image is made on the run image' equals \
  "$(docker image inspect --format '{{json .RootFS.Layers}}' "$IMAGES_BUILD" | grep -cF "$(docker image inspect --format '{{json .RootFS.Layers}}' "$IMAGES_RUN" | tr -d ']')")" 1
