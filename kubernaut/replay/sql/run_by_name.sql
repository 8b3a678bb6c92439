-- run_by_name: the newest run of a name in each namespace.
SELECT DISTINCT ON (workflow_namespace) workflow_namespace, workflow_uid
FROM audit_message
WHERE workflow_name = $1 AND ($2::text IS NULL OR workflow_namespace = $2)
  AND workflow_uid IS NOT NULL AND subject LIKE 'kubernaut.decision.%'
ORDER BY workflow_namespace, stream_sequence DESC
