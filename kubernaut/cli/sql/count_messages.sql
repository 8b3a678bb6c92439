-- How many messages of a stream the audit holds, by CloudEvents type; repeats and quarantined ones have none.
SELECT coalesce(m.type, '(kept aside)') AS type, count(*) AS messages
FROM audit_accounted AS a
LEFT JOIN audit_message AS m
    ON a.kept_in = 'message' AND m.event_key = a.event_key AND m.occurred_at = a.occurred_at
WHERE a.stream = $1
GROUP BY 1
ORDER BY 2 DESC, 1
