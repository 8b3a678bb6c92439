-- insert_seal: adds a sealed range, if it follows the newest one; one that is there already is left as it is.
INSERT INTO audit_seal (stream, number, from_sequence, to_sequence, messages, leaves, previous, digest, told_at)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
WHERE $2 = coalesce((SELECT max(number) FROM audit_seal WHERE stream = $1), 0) + 1
ON CONFLICT DO NOTHING
