# shellcheck shell=sh
# $1 is the number of installed versions: 1 = first installation. Starts nothing; a service that
# runs is restarted after an upgrade.
if [ -d /run/systemd/system ]; then
    systemctl --system daemon-reload >/dev/null 2>&1 || :
    if [ "$1" -gt 1 ]; then
        systemctl try-restart cflite.service >/dev/null 2>&1 || :
    fi
fi
if [ "$1" -eq 1 ]; then
    echo 'cflite: nothing was started. Next: "cflite images build", then "systemctl enable --now cflite"'
fi
exit 0
