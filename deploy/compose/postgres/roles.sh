#!/bin/sh
# Runs once, when the volume is made: a role with a database for Runa, and one for Temporal that makes its own.
set -eu
psql -v ON_ERROR_STOP=1 -v runa="$RUNA_DB_PASSWORD" -v temporal="$TEMPORAL_DB_PASSWORD" -U postgres <<'SQL'
CREATE ROLE runa LOGIN PASSWORD :'runa';
CREATE DATABASE runa OWNER runa;
CREATE ROLE temporal LOGIN CREATEDB PASSWORD :'temporal';
SQL
