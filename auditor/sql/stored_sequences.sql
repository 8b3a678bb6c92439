-- stored_sequences: how far the audit goes, and how many sequences of a range it holds.
SELECT
    count(DISTINCT stream_sequence) FILTER (WHERE stream_sequence BETWEEN $2 AND $3) AS held,
    min(stream_sequence) AS lowest,
    max(stream_sequence) AS highest
FROM audit_accounted
WHERE stream = $1 AND stream_sequence >= $2
