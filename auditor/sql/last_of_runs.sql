-- last_of_runs: the last decision of each of these runs, and the last whole version of each of their objects.
--
-- What was redacted on its way in is not what the log held, and is left out.
SELECT * FROM (
    SELECT DISTINCT ON (workflow_uid) workflow_uid, stream_sequence, event_id, subject, type, source, correlation_id,
        causation_id, traceparent, headers, raw
    FROM audit_message
    WHERE stream = $1 AND workflow_uid = ANY($2::text[]) AND type = $3 AND NOT redacted
    ORDER BY workflow_uid, version DESC, stream_sequence DESC
) AS decision
UNION ALL
SELECT * FROM (
    SELECT DISTINCT ON (workflow_uid) workflow_uid, stream_sequence, event_id, subject, type, source, correlation_id,
        causation_id, traceparent, headers, raw
    FROM audit_message
    WHERE stream = $1 AND workflow_uid = ANY($2::text[]) AND type = $4 AND NOT redacted
    ORDER BY workflow_uid, stream_sequence DESC
) AS definition
