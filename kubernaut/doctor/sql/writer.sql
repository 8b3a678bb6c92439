-- writer: what the role of the auditor may do with each table; no row where there is no such role or no such table.
SELECT name AS table_name, privilege, has_table_privilege(rolname, to_regclass(name), privilege) AS allowed
FROM pg_roles
CROSS JOIN unnest($1::text[]) AS name
CROSS JOIN unnest($2::text[]) AS privilege
WHERE rolname = 'kubernaut_writer' AND to_regclass(name) IS NOT NULL
