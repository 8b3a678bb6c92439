"""Everything that the doctor looks at: what is asked, why it matters, how it is mended. Data only.

docs/doctor.md is made from it.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Part = Literal["nats", "database", "cluster"]
PARTS: Final[tuple[Part, ...]] = ("nats", "database", "cluster")
INSTALL_STREAMS: Final = "python -m kubernaut.install --only streams"
INSTALL_TABLES: Final = "python -m kubernaut.install --only migrations"
INSTALL_DEFINITIONS: Final = "python -m kubernaut.install --only crds"
SEE: Final = "mend what keeps the doctor from looking, then ask again"
REBUILD: Final = "kubernaut audit rebuild"
RECOVER: Final = "kubernaut recover"
POLICIES: Final = (
    "for policy in approval immutability actions records; do kubectl apply -f deploy/admission/$policy.yaml; done"
)


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One check."""

    part: Part
    asks: str
    """What must be so."""
    why: str
    """Why it matters."""
    mend: str
    command: str = ""
    """What to type, where one command does it whatever was seen."""
    see: str = SEE
    """What to do where it cannot be looked at."""


_NO_MONITOR: Final = (
    "give the address of the server's monitoring port with --monitor or KUBERNAUT_NATS_MONITOR, "
    "such as http://nats:8222"
)

_NATS: Final = {
    "nats.answers": Check(
        part="nats",
        asks="NATS can be reached, and lets the doctor in.",
        why="without it no service does anything; what was stored stays and waits",
        mend="start NATS, or correct NATS_URL, the credentials or the certificates",
    ),
    "nats.tls": Check(
        part="nats",
        asks="What goes to a NATS on another machine goes by TLS.",
        why="else whoever is on the way can read the log, or answer in the server's place",
        mend="give each process KUBERNAUT_NATS_TLS_DIR, and the server its certificate (docs/nats.md)",
    ),
    "nats.version": Check(
        part="nats",
        asks="The server is NATS 2.12 or newer.",
        why="older servers have no message schedules, on which all timers stand",
        mend="upgrade nats-server; streams and consumers stay",
    ),
    "nats.jetstream": Check(
        part="nats",
        asks="JetStream is on, for the account that the doctor came with.",
        why="the log is a JetStream stream",
        mend="turn JetStream on in the server's configuration and for the account, then restart or reload it",
    ),
    "nats.payload": Check(
        part="nats",
        asks="The server takes messages of 8 MB.",
        why="a workflow may be 1.5 MB large, and one that does not fit a message fails its own run",
        mend="set `max_payload: 8MB` in the server's configuration and reload it",
    ),
    "nats.sync": Check(
        part="nats",
        asks="A server that stands alone writes to the disk before it answers (`sync_interval: always`).",
        why="else a loss of power loses messages that were acknowledged",
        mend="set `jetstream { sync_interval: always }` in the server's configuration and restart it, or run three "
        "servers with three copies of each stream",
        see=_NO_MONITOR,
    ),
    "nats.health": Check(
        part="nats",
        asks="The server calls itself healthy (the whole `/healthz`).",
        why="after a failure of its disk a server answers on, and takes no message until it is restarted",
        mend="look at the server's log and its disk, then restart it",
        see=_NO_MONITOR,
    ),
    "nats.room": Check(
        part="nats",
        asks="JetStream has room: less than 80 % of what the account or the server may store is used.",
        why="at the limit every new message is refused, and all work stands until there is room",
        mend="raise the limit of the account or of the server, or keep messages for a shorter time",
        see="give the doctor an account that may ask `$JS.API.INFO`",
    ),
    "nats.clock": Check(
        part="nats",
        asks="The clocks of NATS and of this machine agree, within 5 s.",
        why="timers go by the clock of NATS, certificates and tokens by that of each machine; what people read in logs "
        "of several machines does not fit together",
        mend="let both follow a time server (chrony, systemd-timesyncd)",
    ),
}
_STREAMS: Final = {
    "stream.there": Check(
        part="nats",
        asks="Each stream is there.",
        why="who writes to it or reads from it stands still",
        mend="make it; where a log was lost the installer refuses, and recovery says how to come back",
        command=INSTALL_STREAMS,
        see="give the doctor an account that may ask `$JS.API.STREAM.INFO.>`",
    ),
    "stream.settings": Check(
        part="nats",
        asks="Each stream is set as this version needs it.",
        why="the services count on these settings; another may lose messages or refuse them",
        mend="let the installer change it",
        command=INSTALL_STREAMS,
    ),
    "stream.copies": Check(
        part="nats",
        asks="In a cluster of servers each stream has three copies, and all of them are there and current.",
        why="with one copy the loss of one server stops everything, and the loss of its disk loses the log",
        mend="give each stream three copies, and see that every server is up",
        command=f"{INSTALL_STREAMS} --replicas 3",
    ),
    "stream.room": Check(
        part="nats",
        asks="No stream is near a limit that was set for it (80 % of bytes or messages).",
        why="at the limit it refuses what is new (`discard: new`), and whoever writes waits",
        mend="raise `max_bytes` or `max_msgs` of the stream with `nats stream edit`; what waits goes on by itself",
    ),
    "stream.vouched": Check(
        part="nats",
        asks="Somebody has vouched for the log and for the public events: they are the ones that were made here.",
        why="services act only on a stream that somebody has vouched for",
        mend="let the installer vouch for it",
        command=INSTALL_STREAMS,
    ),
    "stream.whole": Check(
        part="nats",
        asks="No stream has lost anything that the server, the audit or a service remembers of it.",
        why="services stop when the log has lost something, so that nothing is done twice; a person has to look",
        mend="restore the store of NATS if there is a copy that is as new; else see what would become of each run, and "
        "carry it out with --accept-loss (docs/recovery.md)",
        command=RECOVER,
    ),
}
_CONSUMERS: Final = {
    "consumer.there": Check(
        part="nats",
        asks="Each durable consumer is there.",
        why="the service that reads by it stands still",
        mend="make it; it reads from the beginning, and nothing is done twice",
        command=INSTALL_STREAMS,
        see="give the doctor an account that may ask `$JS.API.CONSUMER.INFO.>`",
    ),
    "consumer.settings": Check(
        part="nats",
        asks="Each consumer is set as this version needs it.",
        why="a consumer that leaves something out, or gives up on a message, loses work",
        mend="let the installer change it",
        command=INSTALL_STREAMS,
    ),
    "consumer.read": Check(
        part="nats",
        asks="Somebody asks for each consumer's messages.",
        why="nobody does the work of that service: it is not running, or cannot reach NATS",
        mend="start it, or see in its log and on its `/readyz?verbose` why it stands",
    ),
    "consumer.fresh": Check(
        part="nats",
        asks="No message waits longer than a minute (ten for the audit) to be handled.",
        why="runs wait for what waits here",
        mend="see whether the service is ready; then give it replicas (docs/scaling.md)",
    ),
    "consumer.paused": Check(
        part="nats",
        asks="No consumer is paused.",
        why="the server hands out nothing while it is; a pause of the bridge is a freeze of all effects",
        mend="if the reason is gone, let it go on",
    ),
    "letters.none": Check(
        part="nats",
        asks="No message waits in the dead letters.",
        why="each is something that a service could not handle; it may be a step that never goes on",
        mend="see what each is; then hand it in again with `kubernaut dead-letters redrive NUMBER --reason TEXT`",
        command="kubernaut dead-letters list",
        see="give the doctor an account that may read the log",
    ),
    "mirror.follows": Check(
        part="nats",
        asks="The mirror of the public events for outside subscribers, where there is one, follows its stream.",
        why="programs outside see no more events, and are not told so",
        mend="make it as the administrator of the subscribers' account, and see that the exports of "
        "deploy/nats/subscribers-exports.conf are in the services' account",
        command="python -m kubernaut.install_mirror",
        see="give the address of NATS with a user of the subscribers' account with --subscribers",
    ),
}
_DATABASE: Final = {
    "database.answers": Check(
        part="database",
        asks="PostgreSQL can be reached, and lets the doctor in.",
        why="without it nothing is audited; the other services go on, and no finished object is deleted",
        mend="start PostgreSQL, or correct DATABASE_URL, the password or the certificates",
    ),
    "database.version": Check(
        part="database",
        asks="The server is PostgreSQL 15 or newer.",
        why="older ones do not know what the tables are made with",
        mend="upgrade PostgreSQL (pg_upgrade, or a dump and a restore: docs/backup.md)",
    ),
    "database.schema": Check(
        part="database",
        asks="All migrations of this version are applied, each as it is.",
        why="the auditor writes to tables and columns that are not there",
        mend="apply them",
        command=INSTALL_TABLES,
    ),
    "database.rights": Check(
        part="database",
        asks="The role that the doctor came with may read the whole audit.",
        why="what it may not read it cannot prove",
        mend="grant it, as docs/database.md says",
    ),
    "database.writer": Check(
        part="database",
        asks="The auditor has a role of its own, kubernaut_writer, which may add to the audit and change nothing.",
        why="with more rights whoever takes over the auditor can change the audit; with fewer nothing is audited",
        mend="set up the roles as an administrator of the database (docs/database.md), then grant by the migrations",
        command="python -m kubernaut.install --only roles --only migrations",
    ),
    "database.tls": Check(
        part="database",
        asks="What goes to a PostgreSQL on another machine goes by TLS, and its certificate is looked at.",
        why="else whoever is on the way can read the audit, or answer in the server's place",
        mend="add `sslmode=verify-full&sslrootcert=FILE` to DATABASE_URL (docs/database.md)",
    ),
    "database.durable": Check(
        part="database",
        asks="The server writes to the disk before it answers (`fsync`, `full_page_writes`).",
        why="else a loss of power damages the audit, and the log's messages were acknowledged by then",
        mend="set `fsync = on` and `full_page_writes = on` in postgresql.conf and restart it",
    ),
    "database.clock": Check(
        part="database",
        asks="The clocks of PostgreSQL and of this machine agree, within 5 s.",
        why="nothing is decided by it; who compares its log with others is misled",
        mend="let both follow a time server (chrony, systemd-timesyncd)",
    ),
    "database.partitions": Check(
        part="database",
        asks="The month that comes has its partition.",
        why="rows of a month without one go to the default partition, and moving them takes a lock later",
        mend="make it; the auditor tries to each hour, and needs the right",
        command=INSTALL_TABLES,
    ),
    "database.size": Check(
        part="database",
        asks="How much the audit takes. How much room the disk has cannot be asked of PostgreSQL.",
        why="a full disk stops the audit",
        mend="see docs/capacity.md for what to expect",
    ),
}
_AUDIT: Final = {
    "audit.rows": Check(
        part="database",
        asks="The audit holds everything that the auditor has acknowledged.",
        why="an older copy was restored, or somebody deleted rows; the auditor writes nothing until they are back",
        mend="fill them in from the log, and from an export where the log does not reach back (docs/recovery.md)",
        command=REBUILD,
    ),
    "audit.sealed": Check(
        part="database",
        asks="What the audit holds is sealed within ten minutes.",
        why="what is not sealed could be changed without a trace",
        mend="see why the auditor does not seal: its log says `seal_failed` or `audit_unsound`",
        command="kubernaut audit verify",
    ),
    "audit.quarantine": Check(
        part="database",
        asks="No message is in quarantine, and none is there twice.",
        why="PostgreSQL could keep it as bytes only, or somebody published an id a second time: a stranger, or a bug",
        mend="see what it is",
        command="kubernaut audit query",
    ),
}
_CLUSTER: Final = {
    "cluster.answers": Check(
        part="cluster",
        asks="The Kubernetes API answers, and knows the doctor.",
        why="without it nothing is watched and nothing is created; work waits in the log",
        mend="correct KUBECONFIG or the credentials in it, or see why the API server is away",
    ),
    "cluster.version": Check(
        part="cluster",
        asks="Kubernetes is 1.30 or newer.",
        why="older API servers do not take the rules of the resource definitions",
        mend="upgrade the cluster",
    ),
    "cluster.clock": Check(
        part="cluster",
        asks="The clocks of the API server and of this machine agree, within 5 s.",
        why="tokens are refused before their time or taken after it, and ages that people read are wrong",
        mend="let both follow a time server (chrony, systemd-timesyncd)",
    ),
    "definition.there": Check(
        part="cluster",
        asks="Both resource definitions are there, established, and served.",
        why="no workflow can be made or seen",
        mend="install them",
        command=INSTALL_DEFINITIONS,
        see="give the doctor an account that may `get` customresourcedefinitions",
    ),
    "definition.current": Check(
        part="cluster",
        asks="Both are as this version has them.",
        why="fields that this version needs are dropped, or rules that keep workflows sound are missing",
        mend="bring them up to date; objects stay",
        command=INSTALL_DEFINITIONS,
    ),
    "runs.taken": Check(
        part="cluster",
        asks="Every workflow, and every change of one, is taken in within a minute.",
        why="somebody asked for something and nobody has heard of it",
        mend="see whether watcher, scheduler and bridge are ready, and whether effects are frozen (`kubernaut thaw`)",
        see="give the doctor an account that may `list` workflowexecutions in all namespaces",
    ),
    "runs.deleted": Check(
        part="cluster",
        asks="No workflow hangs in its deletion on our finalizer for more than five minutes.",
        why="its namespace cannot go either",
        mend="start the executor bridge, or give it back the right to patch; by hand, take the finalizer off: the log "
        "then never holds how the run ended",
    ),
    "runs.kept": Check(
        part="cluster",
        asks="Finished workflows are gone an hour after their time.",
        why="they fill etcd; they stay while the audit does not hold all of them",
        mend="see whether the auditor is well and the audit is up to date",
    ),
    "admission.there": Check(
        part="cluster",
        asks="The admission policies are installed, and bound.",
        why="without them anybody who may change a workflow may approve one in another's name, change its spec's "
        "annotations, or write its status",
        mend="install them, once the bridge's account has its role (docs/admission.md)",
        command=POLICIES,
        see="give the doctor an account that may `list` validatingadmissionpolicies and their bindings",
    ),
    "admission.sound": Check(
        part="cluster",
        asks="The API server finds no fault in the policies' expressions.",
        why="a policy with a fault refuses everything, or nothing",
        mend="install the policies and the resource definitions of the same version",
        command=POLICIES,
    ),
    "service.there": Check(
        part="cluster",
        asks="Each service has a Deployment, where any of ours has one.",
        why="nobody does that service's work",
        mend="install it: see docs/install.md",
        see="give the doctor an account that may `list` deployments in all namespaces",
    ),
    "service.ready": Check(
        part="cluster",
        asks="Every replica that is wanted is ready, and the newest version is rolled out.",
        why="work of a service with too few replicas waits; one with none stands",
        mend="see why, in the events and the log of its pods",
    ),
    "service.version": Check(
        part="cluster",
        asks="All services run the same version, and the doctor is of it.",
        why="versions may stand side by side for as long as you like; one that was forgotten is a surprise later",
        mend="finish the upgrade, or take it back (docs/upgrades.md)",
    ),
    "rights.enough": Check(
        part="cluster",
        asks="Each service's account may do what its service does.",
        why="the service is refused: it is not ready, or its steps fail with `forbidden`",
        mend="apply the roles, and bind them to the account",
        command="kubectl apply -f deploy/rbac",
        see="give the doctor an account that may `create` subjectaccessreviews",
    ),
    "rights.narrow": Check(
        part="cluster",
        asks="None may read secrets, start processes in pods, change roles or act as somebody else.",
        why="who gets hold of that account's token gets hold of more than its service needs",
        mend="find the binding that gives it, and take it away",
        see="give the doctor an account that may `create` subjectaccessreviews",
    ),
}
CHECKS: Final[dict[str, Check]] = _NATS | _STREAMS | _CONSUMERS | _DATABASE | _AUDIT | _CLUSTER
