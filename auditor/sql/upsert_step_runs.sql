-- upsert_step_runs: one row for each step of a finished workflow; a later decision replaces an earlier one.
INSERT INTO step_run AS stored (
    workflow_uid, step_number, name, action, critical, status, reason, error, attempts, affected, execution_uid,
    started_at, ended_at, decision_version, retries, rollback, rollback_reason, rollback_error
)
SELECT
    workflow_uid, step_number, name, action, critical, status, reason, error, attempts, affected, execution_uid,
    timestamptz 'epoch' + started_ms * interval '1 millisecond',
    timestamptz 'epoch' + ended_ms * interval '1 millisecond',
    decision_version, retries, rollback, rollback_reason, rollback_error
FROM unnest(
    $1::text[], $2::integer[], $3::text[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::text[], $9::integer[],
    $10::integer[], $11::text[], $12::bigint[], $13::bigint[], $14::bigint[],
    $15::integer[], $16::text[], $17::text[], $18::text[]
) AS step (
    workflow_uid, step_number, name, action, critical, status, reason, error, attempts, affected, execution_uid,
    started_ms, ended_ms, decision_version, retries, rollback, rollback_reason, rollback_error
)
ORDER BY workflow_uid, step_number
ON CONFLICT (workflow_uid, step_number) DO UPDATE SET
    -- The definition may have left the log since.
    name = coalesce(excluded.name, stored.name),
    action = coalesce(excluded.action, stored.action),
    critical = coalesce(excluded.critical, stored.critical),
    status = excluded.status,
    reason = excluded.reason,
    error = excluded.error,
    attempts = excluded.attempts,
    affected = excluded.affected,
    execution_uid = excluded.execution_uid,
    started_at = excluded.started_at,
    ended_at = excluded.ended_at,
    decision_version = excluded.decision_version,
    retries = excluded.retries,
    rollback = excluded.rollback,
    rollback_reason = excluded.rollback_reason,
    rollback_error = excluded.rollback_error
WHERE excluded.decision_version > stored.decision_version
