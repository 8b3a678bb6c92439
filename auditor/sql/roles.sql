-- roles: the three roles of the audit, and what they may do with a database before there is a table in it.
--
-- Run it in the audit's own database, as a superuser or as the database's owner who may create roles:
--     psql --set ON_ERROR_STOP=1 --file roles.sql DATABASE        or        python -m kubernaut.install --only roles
-- It may be run again at any time: what is there stays, passwords and connection limits included. Roles belong to the
-- whole server; rights are given in this database. What each role may do with each table, `migrations` gives (grants.sql).
-- No role has a password afterwards: give each one, or certificates, or grant the role to a login of your own.

BEGIN;
SELECT pg_advisory_xact_lock(hashtextextended('kubernaut.audit.migrations', 0));

DO $roles$
DECLARE
    wanted   record;
    relation regclass;
    routine  regprocedure;
BEGIN
    -- Three connections an auditor: ten auditors, and two more.
    FOR wanted IN
        SELECT * FROM (VALUES ('kubernaut_owner', 8), ('kubernaut_writer', 32), ('kubernaut_reader', 16)) AS role (name, most)
    LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name);
        BEGIN
            EXECUTE format(
                'CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT %s',
                wanted.name, wanted.most
            );
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- made at this moment from another database
        END;
    END LOOP;

    -- Whoever may create roles is not by that a member of them; to hand over tables he must be.
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT kubernaut_owner TO %I', current_user);
    END IF;

    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO kubernaut_owner, kubernaut_writer, kubernaut_reader', current_database()
    );
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    GRANT USAGE, CREATE ON SCHEMA public TO kubernaut_owner;
    GRANT USAGE ON SCHEMA public TO kubernaut_writer, kubernaut_reader;
    REVOKE CREATE ON SCHEMA public FROM kubernaut_writer, kubernaut_reader;

    -- What an installation without these roles had made.
    FOR relation IN
        SELECT oid FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')
          AND (relname LIKE 'audit\_%' OR relname IN ('workflow_run', 'step_run'))
          AND relowner <> 'kubernaut_owner'::regrole
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO kubernaut_owner', relation);
    END LOOP;
    FOR routine IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace AND proname LIKE 'audit\_%' AND proowner <> 'kubernaut_owner'::regrole
    LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO kubernaut_owner', routine);
    END LOOP;
END
$roles$;

COMMIT;
