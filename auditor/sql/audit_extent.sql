-- audit_extent: from where to where the audit of a stream goes, and whether there are rows of any other stream.
SELECT
    min(stream_sequence) FILTER (WHERE stream = $1) AS lowest,
    max(stream_sequence) FILTER (WHERE stream = $1) AS highest,
    count(*) FILTER (WHERE stream <> $1) AS others,
    min(stream) FILTER (WHERE stream <> $1) AS other
FROM audit_accounted
