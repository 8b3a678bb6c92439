-- unsealed: how old the oldest message behind the sealed ones is, the audit's own checkpoints aside; 0 for none.
SELECT coalesce(extract(epoch FROM clock_timestamp() - min(occurred_at)), 0)::double precision AS seconds
FROM audit_message
WHERE stream = $1 AND stream_sequence > $2 AND subject <> $3
