-- grants: what the auditor and those who read may do with each table; run after every migration, as kubernaut_owner.
--
-- The rights are first taken away, so that they are these and no others. Nobody may change or delete a message, a seal
-- or what is known of ids; the two tables of reports are remade from later messages. Partitions need no rights of
-- their own: they are reached through the table.
DO $grants$
DECLARE
    relation regclass;
BEGIN
    FOR relation IN
        SELECT oid FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'S') AND relowner = current_user::regrole
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC, kubernaut_writer, kubernaut_reader', relation);
    END LOOP;
END
$grants$;

GRANT SELECT ON
    audit_migration, audit_identity, audit_message, audit_repeat, audit_quarantine, audit_seal, audit_accounted,
    workflow_run, step_run
    TO kubernaut_writer, kubernaut_reader;
GRANT INSERT ON audit_identity, audit_message, audit_repeat, audit_quarantine, audit_seal TO kubernaut_writer;
GRANT INSERT, UPDATE ON workflow_run, step_run TO kubernaut_writer;

REVOKE ALL ON FUNCTION audit_ensure_partitions() FROM PUBLIC, kubernaut_writer, kubernaut_reader;
GRANT EXECUTE ON FUNCTION audit_ensure_partitions() TO kubernaut_writer;
