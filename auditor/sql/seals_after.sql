-- seals_after: the sealed ranges of a stream after a number, in order, at most so many.
SELECT stream, number, from_sequence, to_sequence, messages, leaves, previous, digest, told_at
FROM audit_seal WHERE stream = $1 AND number > $2 ORDER BY number LIMIT $3
