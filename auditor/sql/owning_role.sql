-- owning_role: the role that makes tables here, whoever runs the migrations; no row where the roles were not set up.
SELECT rolname
FROM pg_roles
WHERE rolname = 'kubernaut_owner'
  AND pg_has_role(oid, 'MEMBER')
  AND has_schema_privilege(oid, 'public', 'CREATE')
  AND NOT EXISTS (SELECT FROM pg_class WHERE pg_class.oid = to_regclass('public.audit_migration') AND relowner <> pg_roles.oid)
