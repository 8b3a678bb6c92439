-- The auditor's role adds rows and no more, so partitions are made with the rights of the role that owns the tables.
--
-- The search path of such a function must be fixed, or whoever calls it could have it use tables of his own; pg_temp is
-- named last because it is searched first where it is not named.

DO $$
BEGIN
    EXECUTE format(
        'ALTER FUNCTION audit_ensure_partitions() SECURITY DEFINER SET search_path = %I, pg_temp', current_schema()
    );
END
$$;
REVOKE ALL ON FUNCTION audit_ensure_partitions() FROM PUBLIC;
