-- newest_message: the message with the highest sequence of a stream that the audit holds, in whichever table.
--
-- What is in quarantine has no id that could be compared.
SELECT stream_sequence, event_id
FROM (
    (SELECT stream_sequence, event_id FROM audit_message WHERE stream = $1 ORDER BY stream_sequence DESC LIMIT 1)
    UNION ALL
    (SELECT stream_sequence, event_id FROM audit_repeat WHERE stream = $1 ORDER BY stream_sequence DESC LIMIT 1)
    UNION ALL
    (SELECT stream_sequence, '' FROM audit_quarantine WHERE stream = $1 ORDER BY stream_sequence DESC LIMIT 1)
) AS newest
ORDER BY stream_sequence DESC
LIMIT 1
