-- run_messages: everything that the audit keeps of one run, as the log held it, repeats included.
--
-- Quarantined messages have lost their subject and are told apart by number only.
SELECT stream, stream_sequence, (extract(epoch FROM occurred_at) * 1000)::bigint AS time_ms, subject, event_id, type,
       source, correlation_id, causation_id, traceparent, headers::text AS headers, raw, redacted
FROM audit_message
WHERE workflow_uid = $1
ORDER BY stream_sequence
