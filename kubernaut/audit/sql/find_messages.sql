-- find_messages: what happened, narrowed down by whatever is given; a page that begins after a sequence.
--
-- Who: the approver that the API server let write it, or the person that a message names.
WITH found AS (
    SELECT
        stream_sequence AS sequence,
        (extract(epoch FROM occurred_at) * 1000)::bigint AS time_ms,
        type,
        workflow_namespace AS namespace,
        workflow_name AS workflow,
        workflow_uid,
        step_number AS step,
        attempt,
        action,
        phase,
        correlation_id,
        event_id,
        coalesce(
            body #>> '{state,approval,by}',
            body #>> '{object,metadata,annotations,workflowexecution.kubernaut.io/approver}',
            body ->> 'by'
        ) AS actor,
        coalesce(
            body #>> '{state,approval,reason}',
            body #>> '{object,metadata,annotations,workflowexecution.kubernaut.io/approval-reason}',
            body ->> 'reason'
        ) AS reason,
        ARRAY(
            SELECT concat_ws(' ', nullif('step ' || nullif(t ->> 'step', '0'), ''), nullif(t ->> 'what', ''))
            FROM jsonb_array_elements(
                CASE WHEN jsonb_typeof(body -> 'transitions') = 'array' THEN body -> 'transitions' ELSE '[]' END
            ) AS t
            WHERE coalesce(t ->> 'what', '') <> ''
        ) AS transitions
    FROM audit_message
    WHERE stream = $1
      AND stream_sequence > $2
      AND ($4::text IS NULL OR workflow_uid = $4 OR workflow_name = $4)
      AND ($5::text IS NULL OR workflow_namespace = $5)
      AND ($6::bigint IS NULL OR occurred_at >= timestamptz 'epoch' + $6 * interval '1 millisecond')
      AND ($7::bigint IS NULL OR occurred_at < timestamptz 'epoch' + $7 * interval '1 millisecond')
      AND ($8::text IS NULL OR type = $8)
      AND ($9::integer IS NULL OR step_number = $9
           OR body -> 'transitions' @> jsonb_build_array(jsonb_build_object('step', $9::integer)))
      AND ($10::text IS NULL OR body -> 'transitions' @> jsonb_build_array(jsonb_build_object('what', $10::text)))
)
SELECT * FROM found
WHERE $11::text IS NULL OR actor = $11
ORDER BY sequence
LIMIT $3
