#!/usr/bin/env bash
# ClickHouse's engine behind its HTTP interface, on loopback, in a folder of its own.
#   clickhouse.sh install | start PORT DIR | stop DIR
# start prints the URL. clickhouse/ beside this file serves libchdb.so, which npm
# ships (566 MB, fetched once), and says what it leaves out of a server.
set -euo pipefail
# shellcheck source=test/services/lib.sh
. "$(dirname "$0")/lib.sh"

package=@chdb/lib-linux-x64-gnu@26.7.3-stable.1
sha256=36ad4e999882821ef13cf2d0f52c93f48e6ee1b4498b35a201c23ce4b8d15bf5
home=$cache/chdb-26.7.3
library=$home/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so
source=$(cd "$(dirname "$0")/clickhouse" && pwd)

install() {
  install_packages "curl curl"
  [ "$(uname -m)" = x86_64 ] || die "the engine is pinned for x86_64 only"
  [ -f "$home/.ok" ] && return
  install_packages "npm npm"
  local into
  mkdir -p "$cache"
  into=$(mktemp -d "$cache/chdb-XXXXXX")
  (cd "$into" && npm install --silent --no-save --ignore-scripts --prefix . "$package" >/dev/null)
  sha256sum --quiet -c <<<"$sha256  $into/${library#"$home/"}"
  chmod -R a+rX "$into"
  touch "$into/.ok"
  rm -rf "$home"
  mv "$into" "$home"
}

start() {
  local port=$1 dir
  dir=$(folder "$2" "$(id -u)")
  (cd "$source" && CGO_ENABLED=0 go build -buildvcs=false -o "$dir/clickhouse" .)
  setsid "$dir/clickhouse" -lib "$library" -data "$dir/data" -listen "127.0.0.1:$port" >"$dir/log" 2>&1 </dev/null &
  echo $! >"$dir/pid"
  answers "http://127.0.0.1:$port/ping" $! "$dir/log"
  echo "http://127.0.0.1:$port"
}

stop() { end "$1/pid"; }

main "$@"
