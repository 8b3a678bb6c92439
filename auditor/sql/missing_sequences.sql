-- missing_sequences: the first sequences of a range that the audit does not hold.
SELECT wanted AS sequence
FROM generate_series($2::bigint, $3::bigint) AS wanted
WHERE NOT EXISTS (SELECT FROM audit_accounted WHERE stream = $1 AND stream_sequence = wanted)
ORDER BY wanted
LIMIT $4
