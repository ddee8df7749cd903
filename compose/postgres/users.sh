#!/usr/bin/env bash
# Runs once, when the database is created: creates the users of the engine and of Grafana. Every
# viewer of a dashboard can send any SQL through Grafana. Therefore its user can read the views, and
# do nothing else. `thicket migrate --roles` grants to the two roles what they need.
set -euo pipefail
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --set grafana="$GRAFANA_DATABASE_PASSWORD" \
    --set engine="$ENGINE_DATABASE_PASSWORD" --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE thicket_engine NOLOGIN;
CREATE ROLE thicket_reader NOLOGIN;
CREATE ROLE engine LOGIN PASSWORD :'engine' IN ROLE thicket_engine;
CREATE ROLE grafana LOGIN PASSWORD :'grafana' CONNECTION LIMIT 20 IN ROLE thicket_reader;
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';
-- Only a superuser can raise it: a sort must not fill the disk.
ALTER ROLE grafana SET temp_file_limit = '1GB';
SQL
