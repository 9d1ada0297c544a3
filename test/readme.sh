#!/usr/bin/env bash
# Drives the built program, $1, as README.md does: starts it with the demo and
# runs each curl command of the README as it is written there, but for the
# addresses. Needs bash and curl. The last line says how many checks passed.
set -uo pipefail

binary=$(realpath "${1:?usage: test/readme.sh BINARY}")
readme=$(realpath "$(dirname "$0")/../README.md")
work=$(mktemp -d)
passed=0
failed=0
pid=

finish() {
  if [ -n "$pid" ]; then kill -9 "$pid" 2>/dev/null; fi
  rm -rf "$work"
}
trap finish EXIT

# pass NAME COMMAND… counts whether the command succeeds.
pass() {
  local name=$1
  shift
  if "$@" >/dev/null 2>&1; then
    passed=$((passed + 1))
    echo "ok    $name"
  else
    failed=$((failed + 1))
    echo "FAIL  $name"
  fi
}

# says FILE TEXT looks for a fixed text.
says() { grep -qF -- "$2" "$1"; }

# same A B compares two words that are there.
same() { [ -n "$1" ] && [ "$1" = "$2" ]; }

# until_true SECONDS COMMAND… asks again and again.
until_true() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    if [ $SECONDS -ge $end ]; then return 1; fi
    sleep 0.1
  done
}

# start starts the program and reads its addresses.
start() {
  (cd "$work" && exec "$binary" serve --demo --data-dir "$work/data" --listen 127.0.0.1:0 --demo-listen "${1:-127.0.0.1:0}") \
    >"$work/said" 2>"$work/log" &
  pid=$!
  if ! until_true 60 says "$work/said" 'Demo: the help centre is at'; then
    cat "$work/said" "$work/log"
    echo "the program did not start"
    exit 1
  fi
  api=$(sed -n 's|^Runa is ready at \(http://[^ ]*\).*|\1|p' "$work/said")
  demo=$(sed -n 's|^Demo: the help centre is at \(http://[^/]*\)/.*|\1|p' "$work/said")
}

# stop asks the program to end, and remembers how it did.
stop() {
  local began=$SECONDS
  kill -TERM "$pid"
  wait "$pid"
  code=$?
  took=$((SECONDS - began))
  pid=
}

get() { curl -s "$api$1" -H "Authorization: Bearer $KEY"; }

# blocks writes each shell block of the README that has a curl command to a
# file of its own, in order, and its heading to another.
blocks() {
  awk -v dir="$work" '
    /^#/ && !inside { heading = $0; sub(/^#+ /, "", heading) }
    /^```sh$/ { inside = 1; text = ""; next }
    /^```$/ && inside {
      if (text ~ /curl /) { file = sprintf("%s/block.%02d", dir, ++n); printf "%s", text > file; close(file); print heading > (file ".name") }
      inside = 0
      next
    }
    inside { text = text $0 "\n" }
  ' "$readme"
}

demo_ready() { get /v1/knowledge | grep -q '"status":"ready"'; }
all_ready() { ! get /v1/knowledge | grep -q '"status":"indexing"'; }

# messages are those of all conversations; counted, those of the analytics.
messages() { get /v1/conversations | grep -o '"messageCount":[0-9]*' | awk -F: '{ n += $2 } END { print n + 0 }'; }
counted() { get /v1/analytics | grep -o '"messagesTotal":[0-9]*' | cut -d: -f2; }
figures_follow() { same "$(counted)" "$(messages)"; }

start
KEY=$(grep -o 'runa_live_[0-9A-Za-z]*' "$work/said")
pass "the first start prints a product's key" test -n "$KEY"
pass "and the operator's" grep -q 'runa_op_[0-9A-Za-z]' "$work/said"
pass "the demo's help centre is crawled" until_true 30 demo_ready

blocks
pass "the README has curl commands" test -e "$work/block.01"
touch "$work/all"
for block in "$work"/block.??; do
  sed -i "s|http://127.0.0.1:8080|$api|g; s|http://127.0.0.1:8090|$demo|g" "$block"
  name="README, \"$(cat "$block.name")\""
  out=$block.out
  # In this shell: a block uses the variables of those before it.
  # shellcheck disable=SC1090
  source "$block" >"$out" 2>&1
  pass "$name: the commands succeed" test $? -eq 0
  pass "$name: they answer" test -s "$out"
  pass "$name: they are not refused" bash -c '! grep -q "\"error\":{\"code\"" "$0" && ! grep -q "page not found" "$0"' "$out"
  cat "$out" >>"$work/all"
  echo >>"$work/all"
  if grep -q 'POST\|-d ' "$block"; then until_true 30 all_ready; fi
done

pass "the question is answered" says "$work/all" 'Start export'
pass "from the page that says it" says "$work/all" '/help/exports'
pass "the revenue tool is called" says "$work/all" '"name":"get_revenue","arguments":{"period":"2026-03"},"status":"succeeded"'
pass "and its figure told" says "$work/all" '128430'
pass "the conversation is listed" says "$work/all" '"id":"sess_readme"'
pass "the analytics are there" says "$work/all" '"messagesTotal":'
pass "and count every message" until_true 5 figures_follow
pass "the source is registered" says "$work/all" '"name":"Pricing","type":"url"'
pass "its pages are listed" says "$work/all" '"pages":['
pass "the search finds passages" says "$work/all" '"hits":[{"sourceId"'
pass "the tool answers its owner" says "$work/all" 'lastSeen'
pass "its header is not shown" bash -c '! grep -rqF "kept encrypted" "$0/all" "$0/data" "$0/log"' "$work"
pass "source and tool are deleted" same "$(grep -o '"deleted":true' "$work/all" | wc -l)" 2

once=$(grep -l 'Idempotency-Key' "$work"/block.?? | head -1)
pass "a key asks once" same "$(grep -o '"id":"msg_[0-9A-Za-z]*"' "$once.out" | sort -u | wc -l)" 1
pass "and calls its tool once" same "$(grep -o '"id":"call_[0-9A-Za-z]*"' "$once.out" | sort -u | wc -l)" 1
pass "no key, no answer" same "$(curl -s -o /dev/null -w '%{http_code}' "$api/v1/conversations")" 401
pass "the program is ready" same "$(curl -s -o /dev/null -w '%{http_code}' "$api/readyz")" 200
pass "and hands out its description" bash -c 'curl -s "$0/openapi.yaml" | grep -q "^openapi: 3"' "$api"

before=$(get /v1/conversations)
stop
pass "SIGTERM ends it with 0" test "$code" -eq 0
pass "within 30 s" test "$took" -le 30
start "${demo#http://}"
pass "a second start prints no key" bash -c '! grep -q "runa_live_" "$0"' "$work/said"
pass "and has everything" same "$(get /v1/conversations)" "$before"
stop
pass "it ends with 0 again" test "$code" -eq 0
pass "nothing went wrong in its log" bash -c '! grep -q "\"level\":\"ERROR\"" "$0"' "$work/log"

if [ "$failed" -gt 0 ]; then
  cat "$work/all" "$work/log"
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
