# shellcheck shell=sh
# $1 is the number of versions that stay: 0 = the package is removed. Apps and data stay.
if [ "$1" -eq 0 ] && [ -d /run/systemd/system ]; then
    systemctl --no-reload disable --now cflite-http.socket cflite-https.socket cflite-ssh.socket cflite.service >/dev/null 2>&1 || :
fi
if [ "$1" -eq 0 ] && [ -e /var/lib/cflite/platform-id ]; then
    echo 'cflite: apps and their data in /var/lib/cflite stay; run "cflite reset" before to remove them.'
fi
exit 0
