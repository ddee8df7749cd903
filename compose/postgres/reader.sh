#!/usr/bin/env bash
# Runs once, when the database is created: creates Grafana's database user. Everybody who can view a
# dashboard can send any SQL through Grafana. Therefore this user can read the tables and views that
# the user thicket creates, and do nothing else.
set -euo pipefail
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --set password="$GRAFANA_DATABASE_PASSWORD" \
    --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE grafana LOGIN PASSWORD :'password' CONNECTION LIMIT 20;
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';
GRANT USAGE ON SCHEMA public TO grafana;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO grafana;
SQL
