# shellcheck shell=sh
# The service's user, before files are its own.
getent group cflite >/dev/null || groupadd --system cflite
getent group docker >/dev/null || groupadd --system docker
getent passwd cflite >/dev/null ||
    useradd --system --gid cflite --groups docker --home-dir /var/lib/cflite --no-create-home \
        --shell /sbin/nologin --comment 'cflite service' cflite
exit 0
