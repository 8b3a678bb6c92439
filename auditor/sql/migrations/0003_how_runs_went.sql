-- What reports tell of a run that may be retried, approved, cancelled and rolled back, and what is learned from its steps.
--
-- Every column may be null: an older auditor that still runs does not know them, and rows from before have none.

ALTER TABLE workflow_run
    ADD COLUMN retries         integer,
    ADD COLUMN rollback        text,
    ADD COLUMN rollback_reason text,
    ADD COLUMN approval        text,
    ADD COLUMN approval_by     text,
    ADD COLUMN approval_at     timestamptz,
    ADD COLUMN approval_reason text,
    ADD COLUMN cancel_mode     text,
    ADD COLUMN alerts          integer,
    ADD COLUMN rerun_of        text;
COMMENT ON COLUMN workflow_run.retries IS 'Retries of all its steps.';
COMMENT ON COLUMN workflow_run.rollback IS
    'completed, incomplete (stopped before all were tried) or failed; null when the run was not rolled back.';
COMMENT ON COLUMN workflow_run.approval IS 'approved or rejected; null when no approval was asked for or given.';
COMMENT ON COLUMN workflow_run.approval_by IS 'Who said so: the user that the API server let write it.';
COMMENT ON COLUMN workflow_run.cancel_mode IS 'stop, rollback or terminate; null when the run was not cancelled.';
COMMENT ON COLUMN workflow_run.alerts IS 'New alerts while the run was monitored.';
COMMENT ON COLUMN workflow_run.rerun_of IS 'Uid of the run that this one ran again.';

ALTER TABLE step_run
    ADD COLUMN retries         integer,
    ADD COLUMN rollback        text,
    ADD COLUMN rollback_reason text,
    ADD COLUMN rollback_error  text;
COMMENT ON COLUMN step_run.rollback IS
    'How the rollback of the step ended (completed, failed, skipped ...); null when the run was not rolled back.';

-- The newest ends of one action, without those that say nothing about it; the predicate is that of learned_actions.
CREATE INDEX step_run_learned ON step_run (action, ended_at DESC)
    WHERE status IN ('completed', 'failed', 'rolled_back') AND started_at IS NOT NULL AND ended_at IS NOT NULL;
