-- learned_actions: what the newest $2 finished steps of each of the actions $1 show.
--
-- Skipped and cancelled steps say nothing about their action. A rolled back one had succeeded before it was undone. Times
-- are those of a step's last execution; each of its earlier ones is a failure. The index step_run_learned has the rows of
-- one action in this order, so the size of the table does not matter.
SELECT
    wanted.action,
    sum(step.executions)::bigint AS executions,
    count(*) FILTER (WHERE step.status <> 'failed') AS succeeded,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY step.ms) AS p50_ms,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY step.ms) AS p95_ms,
    round(extract(epoch FROM max(step.ended_at)) * 1000)::bigint AS newest_ms
FROM unnest($1::text[]) AS wanted (action)
CROSS JOIN LATERAL (
    SELECT
        status,
        greatest(attempts, 1) AS executions,
        greatest(round(extract(epoch FROM duration) * 1000), 0)::bigint AS ms,
        ended_at
    FROM step_run
    WHERE action = wanted.action
      AND status IN ('completed', 'failed', 'rolled_back') AND started_at IS NOT NULL AND ended_at IS NOT NULL
    -- The last two make two auditors see the same where steps ended in the same millisecond.
    ORDER BY ended_at DESC, workflow_uid, step_number
    LIMIT $2
) AS step
GROUP BY wanted.action
ORDER BY wanted.action
