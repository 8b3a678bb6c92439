-- What proves that the audit is whole and unchanged: sealed ranges of the log, each hanging on the one before it.

CREATE TABLE audit_seal (
    stream        text        NOT NULL,
    number        bigint      NOT NULL,
    from_sequence bigint      NOT NULL,
    to_sequence   bigint      NOT NULL,
    messages      bigint      NOT NULL,
    leaves        bytea       NOT NULL,
    previous      text        NOT NULL,
    digest        text        NOT NULL,
    told_at       bigint      NOT NULL,
    sealed_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (stream, number),
    UNIQUE (stream, from_sequence),
    UNIQUE (stream, to_sequence),
    CHECK (number > 0 AND to_sequence >= from_sequence),
    CHECK (octet_length(leaves) = 32 * (to_sequence - from_sequence + 1))
);
COMMENT ON TABLE audit_seal IS 'Ranges of the log that the audit holds whole; the log holds each as a checkpoint, too.';
COMMENT ON COLUMN audit_seal.messages IS 'Fewer than sequences where the log had lost some before the audit had them.';
COMMENT ON COLUMN audit_seal.leaves IS
    'SHA-256 of the record of each sequence, in order; 32 zero bytes for a sequence that the log had lost.';
COMMENT ON COLUMN audit_seal.previous IS 'Digest of the range before; empty for the first.';
COMMENT ON COLUMN audit_seal.told_at IS 'Sequence of the checkpoint in the log.';

-- These two tables keep fewer columns than a message has; the record is all of them, as the seal was made over it.
-- Null in what an older auditor wrote.
ALTER TABLE audit_repeat ADD COLUMN record bytea;
ALTER TABLE audit_quarantine ADD COLUMN record bytea;
CREATE INDEX audit_repeat_sequence ON audit_repeat (stream_sequence);
CREATE INDEX audit_quarantine_sequence ON audit_quarantine (stream_sequence);
