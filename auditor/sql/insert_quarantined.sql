-- insert_quarantined: stores one message, that no other table takes, as bytes.
WITH input AS (
    SELECT
        $1::uuid AS event_key, $2::text AS stream, $3::bigint AS stream_sequence,
        timestamptz 'epoch' + $4::bigint * interval '1 millisecond' AS occurred_at,
        $5::text AS reason, $6::bytea AS sha256, $7::boolean AS redacted, $8::bytea AS raw,
        $9::bytea AS record
),
fresh AS (
    INSERT INTO audit_identity (event_key, stream, stream_sequence, occurred_at)
    SELECT event_key, stream, stream_sequence, occurred_at FROM input
    ON CONFLICT DO NOTHING
    RETURNING event_key
)
INSERT INTO audit_quarantine (event_key, stream, stream_sequence, occurred_at, reason, sha256, redacted, raw, record)
SELECT event_key, stream, stream_sequence, occurred_at, reason, sha256, redacted, raw, record
FROM input
-- Known from the same place means that it is kept already, here or where it belongs.
WHERE EXISTS (SELECT FROM fresh)
   OR EXISTS (
    SELECT FROM audit_identity AS first
    WHERE first.event_key = input.event_key
      AND (first.stream, first.stream_sequence) <> (input.stream, input.stream_sequence)
  )
ON CONFLICT DO NOTHING
