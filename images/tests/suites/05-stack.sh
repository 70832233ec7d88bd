# shellcheck shell=bash
# shellcheck disable=SC2154  # run.sh and harness.sh set what is read here

# Runs a script as vcap on one of the images. usage: on IMAGE SCRIPT
on() {
  docker run --rm "${LABELS[@]}" --network none --user 2000:2000 --env PATH=/usr/local/bin:/usr/bin:/bin --env LANG=en_US.UTF-8 \
    --entrypoint /bin/bash "$1" -c "$2" 2>&1
}

tools='bash env awk sed xargs file less jq xxd rsync diff patch curl wget nc dig ping ssh lsof zip unzip tar xz bzip2 git perl shasum apt dpkg ps
  sqlite3 openssl python python3 pip node npm npx yarn ruby gem bundle rake nginx'
check 'the run image has all tools' equals "$(on "$IMAGES_RUN" "for tool in ${tools//$'\n'/ }; do command -v \$tool > /dev/null || echo \$tool; done")" ''
check 'compilers are in the build image only' equals \
  "$(on "$IMAGES_BUILD" 'command -v gcc make cmake | wc -l')/$(on "$IMAGES_RUN" 'command -v gcc make cmake | wc -l')" 3/0
check 'vcap is who apps run as' equals "$(on "$IMAGES_RUN" 'id -un; id -u; id -g; getent passwd vcap | cut -d: -f6,7' | tr '\n' ' ')" 'vcap 2000 2000 /home/vcap:/bin/bash '
check '/app is the app folder, and writable' equals "$(on "$IMAGES_RUN" 'touch /app/x && ls /home/vcap/app')" x
check 'the locale exists' equals "$(on "$IMAGES_RUN" 'perl -e "print qq(quiet\n)"; locale -a | grep -c en_US.utf8; python -c "print(\"Ω\".lower())"')" $'quiet\n1\nω'
check 'the stack is known by its code name' contains "$(on "$IMAGES_RUN" 'cat /etc/lsb-release')" DISTRIB_CODENAME=jammy
check 'netcat is the one of OpenBSD' contains "$(on "$IMAGES_RUN" 'nc -h')" OpenBSD
check 'an nginx.conf of any kind starts as vcap' contains \
  "$(on "$IMAGES_RUN" 'cd; printf "events {}\nhttp { server { listen 8080; return 200 fine; } }" > n.conf; nginx -c ~/n.conf && curl -s localhost:8080')" fine
check 'Python, Node.js and Ruby can do TLS' equals \
  "$(on "$IMAGES_RUN" 'python -c "import ssl; print(len(ssl.create_default_context().get_ca_certs()) > 50)"; node -p "require(\"tls\").rootCertificates.length > 50"; ruby -ropenssl -e "p OpenSSL::SSL::SSLContext.new.set_params.any?"' | LC_ALL=C sort -u)" $'True\ntrue'
check 'the build image is made on the run image' equals \
  "$(docker image inspect --format '{{json .RootFS.Layers}}' "$IMAGES_BUILD" | grep -cF "$(docker image inspect --format '{{json .RootFS.Layers}}' "$IMAGES_RUN" | tr -d ']')")" 1
