#!/bin/sh
# Makes Temporal's two databases, or brings them up to this version. SQL_… is in the environment.
set -eu
schema=/etc/temporal/schema/postgresql/v12

# upgrade DATABASE FOLDER: making what is there already fails, and may.
upgrade() {
  temporal-sql-tool --database "$1" create-database || true
  temporal-sql-tool --database "$1" setup-schema --version 0.0 || true
  temporal-sql-tool --database "$1" update-schema --schema-dir "$schema/$2/versioned"
}

upgrade temporal temporal
upgrade temporal_visibility visibility
