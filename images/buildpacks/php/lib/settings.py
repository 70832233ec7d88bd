"""Prints as shell assignments what the app asks for in .bp-config/options.json, composer.json and composer.lock.

usage: settings.py APP VERSION_OF_PHP
A variable `problem` is a reason to fail, `hints` are lines to tell the user.
"""
import json
import os
import shlex
import sys

from version import Problem, check_version, composer_version, line_of, read_json

DEFAULTS = {"LIBDIR": "lib", "WEBDIR": "htdocs", "WEB_SERVER": "httpd", "ADMIN_EMAIL": "admin@localhost",
            "PHP_EXTENSIONS": ["bz2", "zlib", "curl"], "ZEND_EXTENSIONS": []}
KNOWN = set(DEFAULTS) | {
    "ADDITIONAL_PREPROCESS_CMDS", "APP_START_CMD", "COMPOSER_INSTALL_GLOBAL", "COMPOSER_INSTALL_OPTIONS", "COMPOSER_VENDOR_DIR",
    "MEMCACHED_SESSION_STORE_SERVICE_NAME", "PHP_MODULES", "PHP_VERSION", "PHP_VM", "REDIS_SESSION_STORE_SERVICE_NAME", "STACK",
    "HTTPD_STRIP", "HTTPD_MODULES_STRIP", "NGINX_STRIP", "PHP_STRIP", "PHP_MODULES_STRIP"}
STANDALONE = ("app.php", "main.php", "run.php", "start.php")


def folder(options, key):
    path = os.path.normpath(str(options[key]))
    if os.path.isabs(path) or path.split("/")[0] == "..":
        raise Problem(f".bp-config/options.json: {key} is outside of the app: {options[key]}")
    return path


def commands(value):
    """ADDITIONAL_PREPROCESS_CMDS is a command, a list of commands, or a list of lists of words."""
    if isinstance(value, str):
        return [value]
    return [" ".join(map(str, item)) if isinstance(item, list) else str(item) for item in value or []]


def find_composer(app, webdir, name):
    path = os.environ.get("COMPOSER_PATH", "")
    for place in ("", webdir) + ((path, os.path.join(webdir, path)) if path else ()):
        if os.path.isfile(os.path.join(app, place, name)):
            return os.path.normpath(os.path.join(place, name))
    return ""


def required(requirements):
    return [name[4:] for name in requirements or {} if name.startswith("ext-")]


def session_service(options):
    """The bound service that sessions are kept in: its name says so."""
    path = os.environ.get("VCAP_SERVICES_FILE_PATH")
    text = open(path).read() if path and os.path.isfile(path) else os.environ.get("VCAP_SERVICES")
    stores = {store: options.get(f"{store.upper()}_SESSION_STORE_SERVICE_NAME") or f"{store}-sessions" for store in ("redis", "memcached")}
    for service in [service for services in json.loads(text or "{}").values() for service in services]:
        for store, name in stores.items():
            if name in (service.get("name") or ""):
                return store, service.get("credentials") or {}
    return "", {}


def emit(name, value):
    print(f"{name}=({' '.join(map(shlex.quote, value))})" if isinstance(value, list) else f"{name}={shlex.quote(str(value))}")


def main(app, version):
    path, given, hints = os.path.join(app, ".bp-config/options.json"), {}, []
    if os.path.isfile(path):
        given = read_json(path, ".bp-config/options.json")
    options = DEFAULTS | {key: value for key, value in given.items() if value not in ("", None, [])}
    unknown = sorted(set(given) - KNOWN)
    if unknown:
        hints.append(f".bp-config/options.json: {', '.join(unknown)} is not known and changes nothing")
    if os.path.isdir(os.path.join(app, ".extensions")):
        hints.append("extensions of the buildpack in .extensions are not supported and change nothing")
    webdir, server = folder(options, "WEBDIR"), options["WEB_SERVER"]
    if server not in ("httpd", "nginx", "none"):
        raise Problem(f".bp-config/options.json line {line_of(path, 'WEB_SERVER')}: WEB_SERVER is '{server}', but it can be httpd, nginx or none only")
    composer = {kind: find_composer(app, webdir, name) for kind, name in
                (("json", "composer.json"), ("lock", "composer.lock"), ("auth", "auth.json"))}
    extensions = [str(name) for name in options["PHP_EXTENSIONS"]]
    if composer["json"]:
        extensions += ["openssl"] + required(read_json(os.path.join(app, composer["json"]), composer["json"]).get("require"))
    if composer["lock"]:
        lock = read_json(os.path.join(app, composer["lock"]), composer["lock"])
        platform = lock.get("platform")
        extensions += required(platform if isinstance(platform, dict) else {})
        for package in lock.get("packages") or []:
            extensions += required(package.get("require"))
    store, credentials = session_service(options)
    vendor = options.get("COMPOSER_VENDOR_DIR") or ("vendor" if os.path.isfile(os.path.join(app, "vendor/autoload.php")) and
                                                    os.path.isdir(os.path.join(app, webdir)) else os.path.join(options["LIBDIR"], "vendor"))
    emit("web_server", server)
    emit("webdir", webdir)
    emit("libdir", folder(options, "LIBDIR"))
    emit("vendor_dir", folder({"COMPOSER_VENDOR_DIR": vendor}, "COMPOSER_VENDOR_DIR"))
    emit("admin_email", options["ADMIN_EMAIL"])
    emit("extensions", extensions + ([store] if store else []))
    emit("zend_extensions", [str(name) for name in options["ZEND_EXTENSIONS"]])
    emit("extensions_listed", "yes" if given.get("PHP_EXTENSIONS") else "")
    emit("preprocess", commands(options.get("ADDITIONAL_PREPROCESS_CMDS")))
    emit("standalone", options.get("APP_START_CMD") or next((name for name in STANDALONE if os.path.isfile(os.path.join(app, name))), ""))
    for kind, place in composer.items():
        emit("composer_" + kind, place)
    emit("install_options", [str(option) for option in options.get("COMPOSER_INSTALL_OPTIONS") or ["--no-interaction", "--no-dev"]])
    emit("install_global", [str(name) for name in options.get("COMPOSER_INSTALL_GLOBAL") or []])
    emit("session_store", store)
    for key in ("hostname", "host", "port", "password", "uri", "servers", "username"):
        emit("session_" + key, credentials.get(key, ""))
    emit("hints", hints)
    emit("composer_asks", composer_version(composer, app)[0])
    check_version(options, path, composer, app, version)


try:
    main(*sys.argv[1:])
except Problem as problem:
    emit("problem", problem)
