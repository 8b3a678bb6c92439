-- last_seal: the newest sealed range of a stream.
SELECT stream, number, from_sequence, to_sequence, messages, leaves, previous, digest, told_at
FROM audit_seal WHERE stream = $1 ORDER BY number DESC LIMIT 1
