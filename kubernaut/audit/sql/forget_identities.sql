-- forget_identities: takes away what is noted of event ids at places where no row of theirs stands.
DELETE FROM audit_identity AS noted
WHERE event_key = ANY($1::uuid[])
  AND NOT EXISTS (
    SELECT FROM audit_accounted AS kept
    WHERE kept.stream_sequence = noted.stream_sequence AND kept.stream = noted.stream
      AND kept.event_key = noted.event_key
  )
