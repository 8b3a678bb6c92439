-- audit_rows: a range of the audit in the order of the log, whichever table keeps it.
--
-- $4 says whether payloads are wanted; without them nothing large is read. Of what is kept aside, `record` holds what
-- the table has no column for.
SELECT
    kept_in, event_key::text AS event_key, stream, stream_sequence,
    (extract(epoch FROM occurred_at) * 1000000)::bigint AS time_us, event_id, subject, type, source,
    correlation_id, causation_id, traceparent, workflow_uid, workflow_namespace, workflow_name, step_number, attempt,
    action, version, phase, headers::text AS headers, sha256, redacted,
    CASE WHEN $4 THEN raw END AS raw, CASE WHEN $4 THEN body::text END AS body, record,
    EXISTS (
        SELECT FROM audit_identity AS first
        WHERE first.event_key = kept.event_key
          AND (kept_in <> 'message' OR (first.stream, first.stream_sequence, first.occurred_at)
               = (kept.stream, kept.stream_sequence, kept.occurred_at))
    ) AS identified
FROM (
    SELECT 'message' AS kept_in, m.*, NULL::bytea AS record FROM audit_message AS m
    WHERE stream_sequence BETWEEN $2 AND $3
    UNION ALL
    SELECT 'repeat', event_key, occurred_at, stream, stream_sequence, event_id, subject, NULL, NULL, NULL, NULL, NULL,
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, headers, sha256, redacted, raw, NULL, record
    FROM audit_repeat WHERE stream_sequence BETWEEN $2 AND $3
    UNION ALL
    SELECT 'quarantine', event_key, occurred_at, stream, stream_sequence, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, sha256, redacted, raw, NULL, record
    FROM audit_quarantine WHERE stream_sequence BETWEEN $2 AND $3
) AS kept
WHERE stream = $1
ORDER BY stream_sequence, kept_in, event_key
