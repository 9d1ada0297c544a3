#!/bin/sh
# Makes .env beside docker-compose.yml: random passwords and keys, mode 0600.
# An .env that is there is never touched: what is in it opens the volumes.
#   deploy/compose/secrets.sh           the keyset comes from Runa's image, which is built if it is not there
#   deploy/compose/secrets.sh bin/runa  the keyset comes from this binary
set -eu
umask 077
cd "$(dirname "$0")/../.."

if [ -e .env ]; then
  echo "secrets.sh: .env is there already, and stays as it is" >&2
  exit 1
fi

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

new=$(mktemp .env.XXXXXX)
trap 'rm -f "$new"' EXIT
for name in POSTGRES_PASSWORD RUNA_DB_PASSWORD TEMPORAL_DB_PASSWORD ELASTIC_PASSWORD CLICKHOUSE_PASSWORD \
  CLICKHOUSE_GRAFANA_PASSWORD GRAFANA_ADMIN_PASSWORD; do
  echo "$name=$(random)" >>"$new"
done
echo "RUNA_API_KEY=runa_live_$(random)" >>"$new"
echo "RUNA_OPERATOR_KEY=runa_op_$(random)" >>"$new"

# Compose wants every variable of the file, so the service that prints the keyset is given one that it does not read.
if [ $# -gt 0 ]; then
  keyset=$("$1" keyset)
else
  keyset=$(RUNA_KEYSET=none docker compose --env-file "$new" run --rm --no-deps --quiet-pull -T migrate keyset)
fi
case $keyset in
'' | *[!A-Za-z0-9+/=]*)
  echo "secrets.sh: what was printed is no keyset" >&2
  exit 1
  ;;
esac
echo "RUNA_KEYSET=$keyset" >>"$new"

# A link fails if .env has appeared meanwhile; a move would not.
ln "$new" .env
echo "secrets.sh: made .env; keep a copy of it in a safe place, above all of RUNA_KEYSET"
