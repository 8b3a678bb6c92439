-- Every message of the log, once.
--
-- Partitions by month need the month in every unique key, and the same event must never be stored twice whatever its
-- month; so identity has a table of its own that is not partitioned. A row of audit_message, audit_repeat or
-- audit_quarantine is only made together with, or beside, a row of audit_identity.

CREATE TABLE audit_identity (
    event_key       uuid        PRIMARY KEY,
    stream          text        NOT NULL,
    stream_sequence bigint      NOT NULL,
    occurred_at     timestamptz NOT NULL
);
COMMENT ON TABLE audit_identity IS
    'Which event ids are in the audit, and the first place in the log where each was found.';
COMMENT ON COLUMN audit_identity.event_key IS
    'First 128 bits of the SHA-256 of the event id: a third of the index size of the id itself, and no id is too long for it.';

CREATE TABLE audit_message (
    event_key          uuid        NOT NULL,
    occurred_at        timestamptz NOT NULL,
    stream             text        NOT NULL,
    stream_sequence    bigint      NOT NULL,
    event_id           text        NOT NULL,
    subject            text        NOT NULL,
    type               text        NOT NULL,
    source             text        NOT NULL,
    correlation_id     text,
    causation_id       text,
    traceparent        text,
    workflow_uid       text,
    workflow_namespace text,
    workflow_name      text,
    step_number        integer,
    attempt            integer,
    action             text,
    version            bigint,
    phase              text,
    headers            jsonb,
    sha256             bytea       NOT NULL,
    redacted           boolean     NOT NULL,
    raw                bytea       NOT NULL,
    body               jsonb
) PARTITION BY RANGE (occurred_at);
COMMENT ON TABLE audit_message IS 'One row for each event of the log: the first message that carried its id.';
COMMENT ON COLUMN audit_message.occurred_at IS 'When the broker stored it; never a clock of a service.';
COMMENT ON COLUMN audit_message.event_id IS
    'CloudEvents id; unidentified/<stream>/<sequence>/<hash> for a message that carries none.';
COMMENT ON COLUMN audit_message.version IS 'Version of the decision that this is, or that this status shows.';
COMMENT ON COLUMN audit_message.phase IS 'Phase of the run, or of the KubernetesExecution, that the message tells.';
COMMENT ON COLUMN audit_message.headers IS 'Headers that no column holds.';
COMMENT ON COLUMN audit_message.sha256 IS 'SHA-256 of raw.';
COMMENT ON COLUMN audit_message.redacted IS 'Whether raw differs from what the log holds, because it went through redaction.';
COMMENT ON COLUMN audit_message.raw IS 'The payload as bytes; what hashes are made over.';
COMMENT ON COLUMN audit_message.body IS 'The payload for queries; null where it is no JSON, or none that jsonb can hold.';

CREATE TABLE audit_message_default PARTITION OF audit_message DEFAULT;

CREATE INDEX audit_message_sequence ON audit_message (stream_sequence);
CREATE INDEX audit_message_workflow ON audit_message (workflow_uid, stream_sequence) WHERE workflow_uid IS NOT NULL;

CREATE TABLE audit_repeat (
    event_key       uuid        NOT NULL,
    stream          text        NOT NULL,
    stream_sequence bigint      NOT NULL,
    occurred_at     timestamptz NOT NULL,
    event_id        text        NOT NULL,
    subject         text        NOT NULL,
    headers         jsonb,
    sha256          bytea       NOT NULL,
    redacted        boolean     NOT NULL,
    raw             bytea       NOT NULL,
    PRIMARY KEY (event_key, stream, stream_sequence)
);
COMMENT ON TABLE audit_repeat IS
    'Further messages of the log with an id that was there before: published twice outside the duplicate window, or forged.';

CREATE TABLE audit_quarantine (
    event_key       uuid        NOT NULL,
    stream          text        NOT NULL,
    stream_sequence bigint      NOT NULL,
    occurred_at     timestamptz NOT NULL,
    reason          text        NOT NULL,
    sha256          bytea       NOT NULL,
    redacted        boolean     NOT NULL,
    raw             bytea       NOT NULL,
    PRIMARY KEY (event_key, stream, stream_sequence)
);
COMMENT ON TABLE audit_quarantine IS
    'Messages that PostgreSQL refused to store in the table they belong to, as bytes, with what it said.';

CREATE VIEW audit_accounted AS
    SELECT stream, stream_sequence, event_key, occurred_at, 'message' AS kept_in FROM audit_message
    UNION ALL
    SELECT stream, stream_sequence, event_key, occurred_at, 'repeat' FROM audit_repeat
    UNION ALL
    SELECT stream, stream_sequence, event_key, occurred_at, 'quarantine' FROM audit_quarantine;
COMMENT ON VIEW audit_accounted IS 'Each message of the log exactly once, with the table that keeps it.';

CREATE FUNCTION audit_ensure_partitions() RETURNS SETOF text
LANGUAGE plpgsql
AS $$
DECLARE
    month     timestamp;
    partition text;
BEGIN
    -- Two auditors must not make the same partition.
    PERFORM pg_advisory_xact_lock(hashtextextended('kubernaut.audit.partitions', 0));
    CREATE TABLE IF NOT EXISTS audit_message_default PARTITION OF audit_message DEFAULT;
    FOR month IN
        SELECT generate_series(
            date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month',
            date_trunc('month', now() AT TIME ZONE 'UTC') + interval '2 months',
            interval '1 month'
        )
        UNION
        SELECT date_trunc('month', occurred_at AT TIME ZONE 'UTC') FROM audit_message_default
        ORDER BY 1
    LOOP
        partition := 'audit_message_' || to_char(month, 'YYYYMM');
        CONTINUE WHEN to_regclass(quote_ident(partition)) IS NOT NULL;
        EXECUTE format(
            'CREATE TABLE %I (LIKE audit_message INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)', partition
        );
        -- A partition cannot be attached while DEFAULT holds rows of its month.
        LOCK TABLE audit_message_default IN ACCESS EXCLUSIVE MODE;
        EXECUTE format(
            'WITH moved AS (DELETE FROM audit_message_default WHERE occurred_at >= %1$L AND occurred_at < %2$L RETURNING *)'
            ' INSERT INTO %3$I SELECT * FROM moved',
            month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC', partition
        );
        EXECUTE format(
            'ALTER TABLE audit_message ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
            partition, month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC'
        );
        RETURN NEXT partition;
    END LOOP;
END
$$;
COMMENT ON FUNCTION audit_ensure_partitions() IS
    'Makes the partitions from last month to the month after next, and one for each month that DEFAULT holds rows of.';
