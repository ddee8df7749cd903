-- The roles of a database of Thicket. `thicket migrate --roles` runs this file after the migrations. Run
-- it again after every upgrade. The roles cannot log in: make logins that are members of them.
--
--   the owner       the role that runs this: owns the tables, and creates and drops the tables of days
--   thicket_engine  runs `thicket run` and all other commands except migrate: reads and writes rows
--   thicket_reader  reads the views, for Grafana and other tools
--
-- The last block needs a superuser. Without it, thicket_reader can take advisory locks, which hold up
-- retention, and can fill the disk with large objects.
DO $$
DECLARE
    tables text := quote_ident(current_schema());
    item record;
BEGIN
    FOR item IN SELECT unnest(ARRAY['thicket_engine', 'thicket_reader']) AS name LOOP
        IF to_regrole(item.name) IS NULL THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', item.name);
        END IF;
    END LOOP;

    EXECUTE format('REVOKE CREATE ON SCHEMA %s FROM PUBLIC', tables);
    EXECUTE format('GRANT USAGE ON SCHEMA %s TO thicket_engine, thicket_reader', tables);
    EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());

    -- Retention and reconcile read the tables of days, which are created later.
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %s TO thicket_engine', tables);
    EXECUTE format(
        'ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA %s GRANT SELECT ON TABLES TO thicket_engine',
        (SELECT relowner::regrole FROM pg_class WHERE oid = 'readings'::regclass), tables);
    -- `thicket export` reads the sequences, and `thicket import` sets them.
    EXECUTE format('GRANT SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA %s TO thicket_engine', tables);
    -- All writes of readings go through the parent table.
    FOR item IN
        SELECT c.oid::regclass AS name FROM pg_class c
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND c.relname <> '__diesel_schema_migrations'
    LOOP
        EXECUTE format('GRANT INSERT, UPDATE, DELETE ON %s TO thicket_engine', item.name);
    END LOOP;

    -- Functions that act with the rights of the owner.
    FOR item IN
        SELECT p.oid::regprocedure AS name FROM pg_proc p
        WHERE p.pronamespace = current_schema()::regnamespace AND p.prosecdef
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', item.name);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO thicket_engine', item.name);
    END LOOP;

    FOR item IN
        SELECT c.oid::regclass AS name FROM pg_class c
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'v'
    LOOP
        EXECUTE format('GRANT SELECT ON %s TO thicket_reader', item.name);
    END LOOP;

    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        FOR item IN
            SELECT p.oid::regprocedure AS name, p.proname LIKE '%advisory%' AS is_lock FROM pg_proc p
            WHERE p.pronamespace = 'pg_catalog'::regnamespace
              AND (p.proname LIKE 'pg\_%advisory%' OR p.proname LIKE 'lo\_%' OR p.proname = 'lowrite')
        LOOP
            EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', item.name);
            IF item.is_lock THEN
                EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO thicket_engine', item.name);
            END IF;
        END LOOP;
    END IF;
END $$;
