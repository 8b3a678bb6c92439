-- insert_messages: stores the messages whose event id is new, and tells how many those were.
--
-- Sorted, so that two auditors wait for each other and never deadlock; of two messages with one id in the same batch
-- the one with the lower sequence is stored.
WITH input AS (
    SELECT *, timestamptz 'epoch' + time_ms * interval '1 millisecond' AS occurred_at
    FROM unnest(
        $1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
        $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::integer[], $16::integer[],
        $17::text[], $18::bigint[], $19::text[], $20::text[], $21::bytea[], $22::boolean[], $23::bytea[], $24::boolean[]
    ) AS message (
        event_key, stream, stream_sequence, time_ms, event_id, subject, type, source,
        correlation_id, causation_id, traceparent, workflow_uid, workflow_namespace, workflow_name, step_number, attempt,
        action, version, phase, headers, sha256, redacted, raw, is_json
    )
),
fresh AS (
    INSERT INTO audit_identity (event_key, stream, stream_sequence, occurred_at)
    SELECT event_key, stream, stream_sequence, occurred_at FROM input ORDER BY event_key, stream_sequence
    ON CONFLICT DO NOTHING
    RETURNING event_key, stream, stream_sequence
)
INSERT INTO audit_message (
    event_key, occurred_at, stream, stream_sequence, event_id, subject, type, source,
    correlation_id, causation_id, traceparent, workflow_uid, workflow_namespace, workflow_name, step_number, attempt,
    action, version, phase, headers, sha256, redacted, raw, body
)
SELECT
    event_key, occurred_at, stream, stream_sequence, event_id, subject, type, source,
    correlation_id, causation_id, traceparent, workflow_uid, workflow_namespace, workflow_name, step_number, attempt,
    action, version, phase, headers::jsonb, sha256, redacted, raw,
    -- The payload crosses the network once.
    CASE WHEN is_json THEN convert_from(raw, 'UTF8')::jsonb END
FROM input
JOIN fresh USING (event_key, stream, stream_sequence)
ORDER BY stream_sequence
