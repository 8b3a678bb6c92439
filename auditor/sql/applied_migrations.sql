-- applied_migrations: which numbered migrations this database has, with the checksum of the text that was run.
SELECT number, name, checksum FROM audit_migration ORDER BY number
