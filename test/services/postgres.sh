#!/usr/bin/env bash
# PostgreSQL of this machine's packages, on loopback, in a folder of its own.
#   postgres.sh install | start PORT DIR | stop DIR
# start prints the URL. It is for tests: anyone on this machine may log in as the
# superuser, and unless POSTGRES_DURABLE is set a crash of the machine (not of
# PostgreSQL) may lose data.
set -euo pipefail
# shellcheck source=test/services/lib.sh
. "$(dirname "$0")/lib.sh"

programs() { find /usr/lib/postgresql -mindepth 2 -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1; }

install() {
  [ -n "$(programs)" ] || install_packages "initdb postgresql"
  install_packages "setpriv util-linux"
}

start() {
  local port=$1 dir bin options
  dir=$(folder "$2" postgres)
  bin=$(programs)
  cd "$dir" # the user of the database may not be able to enter the caller's folder
  if [ ! -d data ]; then
    as postgres "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync >/dev/null
  fi
  options="-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories= -c max_connections=600"
  [ -n "${POSTGRES_DURABLE:-}" ] || options+=" -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
  as postgres "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -o "$options" -t 60 -w -s start || {
    tail -n 30 "$dir/log" >&2
    die "PostgreSQL did not start"
  }
  echo "postgres://postgres@127.0.0.1:$port/postgres?sslmode=disable"
}

stop() {
  [ -f "$1/data/postmaster.pid" ] || return 0
  cd "$1"
  as postgres "$(programs)/pg_ctl" -D "$PWD/data" -m immediate -w -s stop
}

main "$@"
