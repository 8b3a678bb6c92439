-- messages_at: single messages of the log, by their sequences.
SELECT stream, stream_sequence, (extract(epoch FROM occurred_at) * 1000)::bigint AS time_ms, subject, event_id, type,
       source, correlation_id, causation_id, traceparent, headers::text AS headers, raw, redacted
FROM audit_message
WHERE stream_sequence = ANY($1::bigint[])
ORDER BY stream_sequence
