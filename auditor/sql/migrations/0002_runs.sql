-- One row for each finished workflow and for each of its steps, made from its last decision.

CREATE TABLE workflow_run (
    workflow_uid       text   PRIMARY KEY,
    workflow_namespace text   NOT NULL,
    workflow_name      text   NOT NULL,
    correlation_id     text,
    definition_name    text,
    definition_version text,
    phase              text   NOT NULL,
    outcome            text,
    failure_reason     text,
    strategy           text,
    steps_total        integer NOT NULL,
    steps_completed    integer NOT NULL,
    steps_failed       integer NOT NULL,
    steps_skipped      integer NOT NULL,
    steps_cancelled    integer NOT NULL,
    steps_rolled_back  integer NOT NULL,
    resources_affected integer NOT NULL,
    started_at         timestamptz,
    ended_at           timestamptz,
    duration           interval GENERATED ALWAYS AS (ended_at - started_at) STORED,
    deleted            boolean NOT NULL,
    decision_version   bigint  NOT NULL,
    stream_sequence    bigint  NOT NULL
);
COMMENT ON TABLE workflow_run IS 'One row for each finished workflow, as its latest decision says.';
COMMENT ON COLUMN workflow_run.deleted IS 'Whether the object is known to be gone from the cluster.';
COMMENT ON COLUMN workflow_run.stream_sequence IS 'Where in the log that decision is.';
CREATE INDEX workflow_run_ended ON workflow_run (ended_at);
CREATE INDEX workflow_run_definition ON workflow_run (definition_name, ended_at);

CREATE TABLE step_run (
    workflow_uid     text    NOT NULL,
    step_number      integer NOT NULL,
    name             text,
    action           text,
    critical         boolean,
    status           text    NOT NULL,
    reason           text,
    error            text,
    attempts         integer NOT NULL,
    affected         integer NOT NULL,
    execution_uid    text,
    started_at       timestamptz,
    ended_at         timestamptz,
    duration         interval GENERATED ALWAYS AS (ended_at - started_at) STORED,
    decision_version bigint  NOT NULL,
    PRIMARY KEY (workflow_uid, step_number)
);
COMMENT ON TABLE step_run IS 'One row for each step of a finished workflow, as its latest decision says.';
COMMENT ON COLUMN step_run.critical IS 'Null, as name and action, when the definition was not in the log any more.';
CREATE INDEX step_run_action ON step_run (action, ended_at);
