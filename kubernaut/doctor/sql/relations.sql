-- relations: the tables and views of the audit that this role sees, whether it may read each, and what is a partition.
SELECT c.relname::text AS name, has_table_privilege(c.oid, 'SELECT') AS readable, c.relispartition AS partition
FROM pg_class AS c
WHERE c.relkind IN ('r', 'p', 'v') AND pg_table_is_visible(c.oid) AND c.relname = ANY ($1::text[])
    OR c.relispartition AND c.relname ~ '^audit_message_' AND pg_table_is_visible(c.oid)
ORDER BY 1
