-- every_run: the runs that the audit holds a decision about, in the order of their last ones.
SELECT workflow_uid
FROM audit_message
WHERE workflow_uid IS NOT NULL AND subject LIKE 'kubernaut.decision.%'
GROUP BY workflow_uid
ORDER BY max(stream_sequence)
