#!/usr/bin/env bash
# Creates the users of the engine and of Grafana, or gives them their present passwords. Every
# viewer of a dashboard can send any SQL through Grafana. Therefore its user can read the views, and
# do nothing else. `thicket migrate --roles` grants to the two roles what they need.
#
# The container runs it once, when it creates the database. Run it again for a database that is
# older than this script, or after a change of the passwords, also of the owner's:
#   docker compose -f compose/compose.yaml exec postgres bash /docker-entrypoint-initdb.d/10-users.sh
set -euo pipefail

# Prints the password of a variable, or of the file that the variable with _FILE names (secure.yaml).
password() {
    local file=${1}_FILE
    if [[ -n ${!1:-} ]]; then
        printf %s "${!1}"
    elif [[ -n ${!file:-} ]]; then
        cat "${!file}"
    else
        echo "users.sh: neither $1 nor $file is set" >&2
        return 1
    fi
}
owner=$(password POSTGRES_PASSWORD)
engine=$(password ENGINE_DATABASE_PASSWORD)
grafana=$(password GRAFANA_DATABASE_PASSWORD)
export owner engine grafana
psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv owner owner
\getenv engine engine
\getenv grafana grafana
SELECT format('CREATE ROLE %I NOLOGIN', name) FROM unnest(ARRAY['thicket_engine', 'thicket_reader', 'engine', 'grafana']) AS name
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
GRANT thicket_engine TO engine;
GRANT thicket_reader TO grafana;
ALTER ROLE CURRENT_USER PASSWORD :'owner';
ALTER ROLE engine LOGIN PASSWORD :'engine';
ALTER ROLE grafana LOGIN PASSWORD :'grafana' CONNECTION LIMIT 20;
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '30s';
-- Only a superuser can raise it: a sort must not fill the disk.
ALTER ROLE grafana SET temp_file_limit = '256MB';
-- Compiling a plan over many days takes longer than running it.
ALTER ROLE grafana SET jit = off;
SQL
