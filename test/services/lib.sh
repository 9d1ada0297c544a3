# shellcheck shell=bash
# What the scripts beside this file share. Sourced, with `set -euo pipefail` in force.

# Downloads are kept here, each in a folder named after its version.
# shellcheck disable=SC2034 # used where this is sourced
cache=${RUNA_SERVICES_CACHE:-/var/tmp}

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

# install_packages "COMMAND PACKAGE"… installs the packages whose command is not there.
install_packages() {
  local pair missing=()
  for pair; do
    command -v "${pair% *}" >/dev/null || missing+=("${pair#* }")
  done
  [ ${#missing[@]} = 0 ] && return
  [ "$(id -u)" = 0 ] || die "missing; install as root: apt-get install ${missing[*]}"
  apt-get update -q >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}" >/dev/null
}

# folder DIR USER makes DIR, gives it to USER when root, and prints its absolute path.
folder() {
  mkdir -p "$1"
  if [ "$(id -u)" = 0 ]; then chown "$2" "$1"; fi
  (cd "$1" && pwd)
}

# as USER COMMAND… runs the command as the user when root, and as it is otherwise.
as() {
  local user=$1
  shift
  if [ "$(id -u)" != 0 ]; then
    "$@"
  else
    setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups --inh-caps=-all -- "$@"
  fi
}

# answers URL PID LOG waits until the URL answers; it gives up when the process ends.
answers() {
  for _ in $(seq 600); do
    curl -fsS -m 2 "$1" >/dev/null 2>&1 && return
    kill -0 "$2" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 30 "$3" >&2
  die "no answer from $1"
}

# end PIDFILE ends the process and waits for its end: five seconds by itself, then by force.
end() {
  [ -f "$1" ] || return 0
  local pid
  pid=$(cat "$1")
  rm -f "$1"
  kill "$pid" 2>/dev/null || return 0
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -9 "$pid" 2>/dev/null || true
}

# main COMMAND [PORT] DIR calls install, start or stop of the script.
main() {
  case $#:${1:-} in
  1:install) install ;;
  3:start)
    install
    start "$2" "$3"
    ;;
  2:stop) stop "$2" ;;
  *)
    echo "usage: ${0##*/} install | start PORT DIR | stop DIR" >&2
    exit 2
    ;;
  esac
}
