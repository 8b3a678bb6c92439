-- odd: how many messages could be kept as bytes only, and how many came with an id that was there before.
SELECT (SELECT count(*) FROM audit_quarantine) AS quarantined, (SELECT count(*) FROM audit_repeat) AS repeated
