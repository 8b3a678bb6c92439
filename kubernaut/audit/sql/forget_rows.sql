-- forget_rows: takes away the rows at these sequences, whichever table keeps them, and what is noted of them.
WITH gone AS (
    DELETE FROM audit_message WHERE stream = $1 AND stream_sequence = ANY($2::bigint[]) RETURNING event_key
),
repeats AS (
    DELETE FROM audit_repeat WHERE stream = $1 AND stream_sequence = ANY($2::bigint[]) RETURNING event_key
),
quarantined AS (
    DELETE FROM audit_quarantine WHERE stream = $1 AND stream_sequence = ANY($2::bigint[]) RETURNING event_key
)
DELETE FROM audit_identity
WHERE event_key IN (SELECT event_key FROM gone) AND stream = $1 AND stream_sequence = ANY($2::bigint[])
