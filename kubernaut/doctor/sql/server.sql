-- server: what PostgreSQL says of itself, of this role and of the room that the database takes.
SELECT
    current_setting('server_version_num')::integer AS version,
    current_setting('fsync') AS fsync,
    current_setting('full_page_writes') AS full_page_writes,
    current_user::text AS role,
    pg_database_size(current_database()) AS bytes,
    extract(epoch FROM clock_timestamp())::double precision AS now,
    to_char(now() AT TIME ZONE 'UTC' + interval '1 month', 'YYYYMM') AS next_month
