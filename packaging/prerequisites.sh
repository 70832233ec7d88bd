#!/usr/bin/env bash
# Installs what cflite needs on Debian and Ubuntu, and starts Docker when no daemon answers. On other systems it lists what is missing.
#
# usage: packaging/prerequisites.sh [--test]
#   --test   also what the tests need: Python with venv for the client tests, zip, openssl, git, jq,
#            ShellCheck, an image registry with passwords and a static program for its images, rsyslog, and Chromium with Node.js
#
# Idempotent: installed packages and a daemon that answers are not touched, and then nothing is printed.
# Does not install Cargo: install Rust with rustup or from a package of the system.
# Exits 0 when nothing is missing, 1 when something is missing that it could not install, 2 on wrong usage.
set -u -o pipefail
readonly DOCKERD_LOG=/var/log/cflite-dockerd.log
readonly DOCKERD_PID_FILE=/var/run/docker.pid
readonly DOCKERD_SECONDS=30
problems=()

say() { printf 'prerequisites: %s\n' "$*"; }
have() { command -v "$1" > /dev/null 2>&1 || [[ -x /usr/sbin/$1 || -x /sbin/$1 ]]; }

# Runs a command as root. usage: as_root COMMAND…
as_root() {
  if ((EUID == 0)); then
    "$@"
  elif have sudo; then
    sudo -- "$@"
  else
    say "root privileges are required for: $*" >&2
    return 1
  fi
}

# The system's family: debian for Debian, Ubuntu and their derivatives, else its name.
system() {
  local id=unknown like=''
  if [[ -r /etc/os-release ]]; then
    # shellcheck disable=SC1091  # a file of the system
    id=$(. /etc/os-release && printf '%s' "${ID:-unknown}")
    # shellcheck disable=SC1091
    like=$(. /etc/os-release && printf '%s' "${ID_LIKE:-}")
  elif [[ $(uname -s) == Darwin ]]; then
    id=macos
  fi
  [[ " $id $like " == *' debian '* || " $id $like " == *' ubuntu '* ]] && id=debian
  printf '%s' "$id"
}

# Prints the Debian packages of missing commands, one per line.
missing_packages() {
  local with_tests=$1 need
  local needs=(docker:docker.io dockerd:docker.io mmdebstrap:mmdebstrap gpg:gpg iptables:iptables cc:gcc make:make curl:curl)
  # With a remote daemon no local one has to be installed.
  ! daemon_answers || needs=("${needs[@]/dockerd:docker.io/}")
  # Without root, mmdebstrap works in a user namespace.
  [[ $EUID == 0 && -z ${SUDO_USER:-} ]] || needs+=(newuidmap:uidmap)
  ! $with_tests || needs+=(python3:python3 git:git zip:zip openssl:openssl jq:jq shellcheck:shellcheck
    docker-registry:docker-registry htpasswd:apache2-utils rsyslogd:rsyslog
    chromium:chromium certutil:libnss3-tools node:nodejs npm:npm)
  for need in "${needs[@]}"; do
    [[ -z $need ]] || have "${need%%:*}" || printf '%s\n' "${need#*:}"
  done | sort -u
  # The linker needs the C library's headers, and Debian packages venv separately from Python.
  [[ -e /usr/include/stdio.h ]] || echo libc6-dev
  # Ubuntu lacks the keys that sign Debian's packages.
  compgen -G '/usr/share/keyrings/debian-archive-keyring.*' > /dev/null || echo debian-archive-keyring
  # The package busybox, which it replaces, needs libraries that the images of the tests lack.
  ! $with_tests || dpkg -s busybox-static > /dev/null 2>&1 || echo busybox-static
  ! $with_tests || compgen -G '/usr/lib/*/rsyslog/lmnsd_gtls.so' > /dev/null || echo rsyslog-gnutls
  ! $with_tests || python3 -c 'import venv, ensurepip' > /dev/null 2>&1 || echo python3-venv
}

# Installs packages; shows apt's output only when it fails. usage: install_packages PACKAGE…
install_packages() {
  local output
  say "installing $*"
  if ! output=$({ as_root apt-get update -qq &&
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 "$@"; } 2>&1); then
    printf '%s\n' "$output" | tail -n 10 >&2
    return 1
  fi
}

daemon_answers() { have docker && timeout 10 docker info > /dev/null 2>&1; }
daemon_answers_root() { daemon_answers || as_root timeout 10 docker info > /dev/null 2>&1; }

# A stale pid file, whose process ended or is another program, prevents a new daemon from starting.
clean_stale_pid_file() {
  local pid
  [[ -f $DOCKERD_PID_FILE ]] || return 0
  pid=$(tr -dc 0-9 < "$DOCKERD_PID_FILE")
  [[ -n $pid && $(cat "/proc/$pid/comm" 2> /dev/null) == dockerd ]] || as_root rm -f "$DOCKERD_PID_FILE"
}

# False for a zombie too, whose exit code was not read yet. usage: runs PID
runs() { [[ -r /proc/$1/status ]] && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status"; }

start_daemon() {
  local second pid=''
  if [[ -d /run/systemd/system ]]; then
    say 'starting the Docker service'
    as_root systemctl start docker
  else
    say "starting the Docker daemon, its log is $DOCKERD_LOG"
    clean_stale_pid_file
    # In its own session, so that it outlives this terminal or job.
    pid=$(as_root sh -c "setsid dockerd >> '$DOCKERD_LOG' 2>&1 < /dev/null & echo \$!")
  fi
  for ((second = 0; second < DOCKERD_SECONDS; second++)); do
    ! daemon_answers_root || return 0
    [[ -z $pid ]] || runs "$pid" || break
    sleep 1
  done
  say "the Docker daemon does not answer after $second seconds; the end of its log:" >&2
  if [[ -d /run/systemd/system ]]; then
    as_root journalctl --unit docker --lines 10 --no-pager >&2
  else
    as_root tail -n 10 "$DOCKERD_LOG" >&2
  fi
  return 1
}

check_daemon() {
  daemon_answers && return 0
  if [[ ${DOCKER_HOST:-unix:///var/run/docker.sock} != unix:///var/run/docker.sock ]]; then
    problems+=("a Docker daemon at DOCKER_HOST=$DOCKER_HOST, which does not answer: start it, or unset the variable to use one on this machine")
    return 0
  fi
  if ! daemon_answers_root 2> /dev/null && ! start_daemon; then
    problems+=('a Docker daemon that answers "docker info"')
    return 0
  fi
  daemon_answers ||
    problems+=("permission to use Docker: sudo usermod -aG docker $(id -un), then log in again")
}

set_up_debian() {
  local packages service
  mapfile -t packages < <(missing_packages "$1")
  if ((${#packages[@]})); then
    # The tests start registries and log servers of their own; as services they would take the port of
    # cflite's registry and the logs of this machine.
    for service in docker-registry rsyslog; do
      [[ " ${packages[*]} " == *" $service "* && -d /run/systemd/system ]] || continue
      say "keeping the service $service from starting; undo it with: systemctl unmask $service"
      as_root systemctl mask --quiet "$service.service"
    done
    install_packages "${packages[@]}" || problems+=("these packages, which could not be installed: ${packages[*]}")
    for service in docker-registry rsyslog; do
      [[ " ${packages[*]} " == *" $service "* && ! -d /run/systemd/system && -x /etc/init.d/$service ]] || continue
      as_root service "$service" stop > /dev/null 2>&1
      as_root update-rc.d "$service" disable > /dev/null 2>&1
    done
    # Newer releases have a separate package for the client, older ones do not.
    have docker || install_packages docker-cli || problems+=('the docker command: the package docker-cli')
  fi
  have docker && check_daemon
}

# On other systems nothing is installed.
inspect_other() {
  local name=$1
  have docker || problems+=('the docker command and a daemon: on macOS and Windows Docker Desktop, else the package docker or docker-ce of your system')
  ! have docker || daemon_answers || problems+=('a Docker daemon that answers "docker info": start Docker Desktop or the service docker')
  have curl || problems+=('curl: the package curl of your system')
  have make || problems+=('make: the package make of your system, on macOS: xcode-select --install')
  have cc || problems+=('a C compiler: the package gcc of your system, on macOS: xcode-select --install')
  if [[ $name != macos ]]; then
    have iptables || problems+=('iptables: the package iptables of your system')
  fi
  ! $2 || have python3 || problems+=('python3: the package python3 of your system')
}

# Prints the path of cargo, as the Makefile finds it: on PATH, else where rustup installs it, under sudo in the caller's home.
find_cargo() {
  local home
  command -v "${CARGO:-cargo}" && return
  for home in "${HOME:-/root}" "$(getent passwd "${SUDO_USER:-}" 2> /dev/null | cut -d: -f6)"; do
    [[ ! -x $home/.cargo/bin/cargo ]] || { printf '%s\n' "$home/.cargo/bin/cargo"; return; }
  done
  return 1
}

check_cargo() {
  local cargo needed version
  local rustup="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . ~/.cargo/env"
  needed=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "${BASH_SOURCE[0]%/*}/../Cargo.toml")
  if ! cargo=$(find_cargo); then
    problems+=("cargo $needed or newer, which builds cflite; install it with rustup: $rustup")
    return
  fi
  [[ $cargo != */.cargo/bin/cargo ]] || export RUSTUP_HOME=${RUSTUP_HOME:-${cargo%/.cargo/bin/cargo}/.rustup}
  # Without a default toolchain rustup's cargo prints no version.
  version=$("$cargo" --version 2> /dev/null | cut -d ' ' -f 2)
  ! printf '%s\n' "$needed" "${version:-0}" | sort -V -C || return 0
  if [[ -x ${cargo%/*}/rustup ]]; then
    rustup=${cargo%/*}/rustup
    problems+=("cargo $needed or newer, $cargo is ${version:-without a toolchain}: $rustup update stable && $rustup default stable")
  else
    problems+=("cargo $needed or newer, $cargo is ${version:-broken}; install one beside it with rustup: $rustup")
  fi
}

main() {
  local with_tests=false name problem
  case ${1:-} in
    '') ;;
    --test) with_tests=true ;;
    *) echo 'usage: prerequisites.sh [--test]' >&2; exit 2 ;;
  esac
  name=$(system)
  if [[ $name == debian ]]; then
    set_up_debian "$with_tests"
  else
    inspect_other "$name" "$with_tests"
  fi
  check_cargo
  ((${#problems[@]})) || exit 0
  say 'still missing:' >&2
  for problem in "${problems[@]}"; do
    printf '  - %s\n' "$problem" >&2
  done
  exit 1
}

main "$@"
