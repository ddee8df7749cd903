#!/usr/bin/env bash
# Runs once, when the database is made: creates the user that Grafana reads with. Whoever may look at a dashboard may send
# any SQL through it, so this user can read what the user thicket makes, and nothing else.
set -euo pipefail
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --set password="$GRAFANA_DATABASE_PASSWORD" \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE grafana LOGIN PASSWORD :'password' CONNECTION LIMIT 20;
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';
GRANT USAGE ON SCHEMA public TO grafana;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO grafana;
SQL
