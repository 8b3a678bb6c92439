-- upsert_workflow_runs: one row for each finished workflow; a later decision replaces an earlier one, never the reverse.
INSERT INTO workflow_run AS stored (
    workflow_uid, workflow_namespace, workflow_name, correlation_id, definition_name, definition_version, phase, outcome,
    failure_reason, strategy, steps_total, steps_completed, steps_failed, steps_skipped, steps_cancelled,
    steps_rolled_back, resources_affected, started_at, ended_at, deleted, decision_version, stream_sequence,
    retries, rollback, rollback_reason, approval, approval_by, approval_at, approval_reason, cancel_mode, alerts, rerun_of
)
SELECT
    workflow_uid, workflow_namespace, workflow_name, correlation_id, definition_name, definition_version, phase, outcome,
    failure_reason, strategy, steps_total, steps_completed, steps_failed, steps_skipped, steps_cancelled,
    steps_rolled_back, resources_affected,
    timestamptz 'epoch' + started_ms * interval '1 millisecond',
    timestamptz 'epoch' + ended_ms * interval '1 millisecond',
    deleted, decision_version, stream_sequence, retries, rollback, rollback_reason, approval, approval_by,
    timestamptz 'epoch' + approval_ms * interval '1 millisecond',
    approval_reason, cancel_mode, alerts, rerun_of
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::text[], $10::text[], $11::integer[], $12::integer[], $13::integer[], $14::integer[], $15::integer[],
    $16::integer[], $17::integer[], $18::bigint[], $19::bigint[], $20::boolean[], $21::bigint[], $22::bigint[],
    $23::integer[], $24::text[], $25::text[], $26::text[], $27::text[], $28::bigint[], $29::text[], $30::text[],
    $31::integer[], $32::text[]
) AS run (
    workflow_uid, workflow_namespace, workflow_name, correlation_id, definition_name, definition_version, phase, outcome,
    failure_reason, strategy, steps_total, steps_completed, steps_failed, steps_skipped, steps_cancelled,
    steps_rolled_back, resources_affected, started_ms, ended_ms, deleted, decision_version, stream_sequence,
    retries, rollback, rollback_reason, approval, approval_by, approval_ms, approval_reason, cancel_mode, alerts, rerun_of
)
ORDER BY workflow_uid
ON CONFLICT (workflow_uid) DO UPDATE SET
    workflow_namespace = excluded.workflow_namespace,
    workflow_name = excluded.workflow_name,
    correlation_id = excluded.correlation_id,
    -- The definition may have left the log since.
    definition_name = coalesce(excluded.definition_name, stored.definition_name),
    definition_version = coalesce(excluded.definition_version, stored.definition_version),
    phase = excluded.phase,
    outcome = excluded.outcome,
    failure_reason = excluded.failure_reason,
    strategy = excluded.strategy,
    steps_total = excluded.steps_total,
    steps_completed = excluded.steps_completed,
    steps_failed = excluded.steps_failed,
    steps_skipped = excluded.steps_skipped,
    steps_cancelled = excluded.steps_cancelled,
    steps_rolled_back = excluded.steps_rolled_back,
    resources_affected = excluded.resources_affected,
    started_at = excluded.started_at,
    ended_at = excluded.ended_at,
    deleted = excluded.deleted,
    decision_version = excluded.decision_version,
    stream_sequence = excluded.stream_sequence,
    retries = excluded.retries,
    rollback = excluded.rollback,
    rollback_reason = excluded.rollback_reason,
    approval = excluded.approval,
    approval_by = excluded.approval_by,
    approval_at = excluded.approval_at,
    approval_reason = excluded.approval_reason,
    cancel_mode = excluded.cancel_mode,
    alerts = excluded.alerts,
    rerun_of = excluded.rerun_of
WHERE excluded.decision_version > stored.decision_version
