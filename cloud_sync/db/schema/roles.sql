-- Run at every migration, by the login that migrates, before the numbered files. Roles belong to the whole
-- server, so another database's migration may have made them already. One role per purpose; none can log in:
-- a login is granted the role of its purpose and nothing else (docs/cloud.md).
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY[
        'clipr_owner',     -- owns the schema; migrations only; sees no row of a tenant (FORCE)
        'clipr_receiver',  -- cloud-sync run: writes records, one tenant at a time; reads the registry
        'clipr_operator',  -- registry and quarantine; never a reading
        'clipr_dossier',   -- reads one tenant's records
        'clipr_auditor'    -- reads one tenant's records and their evidence
    ] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = role_name) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE', role_name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- another migration was quicker
            END;
        END IF;
    END LOOP;

    -- since PostgreSQL 16 whoever made a role may give it away, but not yet act as it
    IF current_setting('server_version_num')::integer < 160000 THEN
        IF NOT pg_has_role(current_user, 'clipr_owner', 'MEMBER') THEN
            EXECUTE format('GRANT clipr_owner TO %I', current_user);
        END IF;
    ELSIF NOT pg_has_role(current_user, 'clipr_owner', 'SET') THEN
        EXECUTE format('GRANT clipr_owner TO %I WITH SET TRUE, INHERIT FALSE', current_user);
    END IF;
    EXECUTE format('ALTER DATABASE %I SET search_path = clipr, public', current_database());
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO clipr_receiver', current_database());
END
$$;

CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA public;

DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = 'clipr') THEN
        CREATE SCHEMA clipr AUTHORIZATION clipr_owner;
    END IF;
END
$$;
