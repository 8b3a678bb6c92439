-- insert_repeats: stores those messages whose event id is known from another place in the log.
--
-- A message that is known from the same place was merely delivered again and leaves no trace.
INSERT INTO audit_repeat (
    event_key, stream, stream_sequence, occurred_at, event_id, subject, headers, sha256, redacted, raw, record
)
SELECT
    event_key, input.stream, input.stream_sequence, timestamptz 'epoch' + time_ms * interval '1 millisecond',
    event_id, subject, headers::jsonb, sha256, redacted, raw, record
FROM unnest(
    $1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::bytea[], $9::boolean[],
    $10::bytea[], $11::bytea[]
) AS input (event_key, stream, stream_sequence, time_ms, event_id, subject, headers, sha256, redacted, raw, record)
JOIN audit_identity AS first USING (event_key)
WHERE (first.stream, first.stream_sequence) <> (input.stream, input.stream_sequence)
  AND NOT EXISTS (
    SELECT FROM audit_quarantine AS held
    WHERE (held.event_key, held.stream, held.stream_sequence) = (input.event_key, input.stream, input.stream_sequence)
  )
ORDER BY event_key, input.stream_sequence
ON CONFLICT DO NOTHING
