// Reads the public events of kubernaut-workflow and prints one line of JSON for each.
//
// What the lines hold and how a subscriber must behave stands in ../README.md. In a program of your own, do your work
// where this one prints: after it the event is acknowledged, and an event that is not comes again.
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const STREAM = "KUBERNAUT_EVENTS";
const REMEMBERED = 10_000; // workflows whose last ordinal is kept
const KNOWN = new RegExp(
  "^io\\.kubernaut\\.(workflow\\.(planned|validated|approved|rejected|started|paused|resumed|completed|failed|" +
    "cancelled|rolled_back|deleted)|step\\.(ready|started|completed|failed|retrying|skipped|cancelled|rolled_back))\\.v1$",
);

/** Value of a CloudEvents attribute, percent-encoded in its header. Throws URIError for what is no UTF-8. */
const attribute = (message, name) => decodeURIComponent(message.headers?.get(name) ?? "");

const ordinalOf = (message) => {
  const text = message.headers?.get("ce-ordinal") ?? "";
  return /^\d+$/.test(text) ? Number(text) : undefined;
};

/** What a message is. Never throws: no message may stop a subscriber. */
function read(message) {
  const sequence = message.seq;
  try {
    const [id, type] = [attribute(message, "ce-id"), attribute(message, "ce-type")];
    if (!id || !type || !attribute(message, "ce-source") || attribute(message, "ce-specversion") !== "1.0") {
      throw new Error("not a CloudEvent in binary mode");
    }
    if (!KNOWN.test(type)) return { kind: "unknown", id, type, sequence };
    const data = message.json();
    const ordinal = ordinalOf(message);
    if (ordinal === undefined || typeof data?.workflow?.uid !== "string") {
      throw new Error("without an ordinal or a workflow");
    }
    return { kind: "event", id, type, ordinal, workflowUid: data.workflow.uid, sequence };
  } catch (error) {
    return { kind: "unreadable", error: String(error), sequence };
  }
}

/** Tells repeats and gaps by the last ordinal of each workflow. */
class Ordinals {
  #last = new Map();
  #fromFirst;

  constructor(fromFirst) {
    this.#fromFirst = fromFirst;
  }

  /** What is to be done about a message: nothing when it is a repeat, a gap first when something is missing. */
  take(message) {
    const found = read(message);
    const ordinal = ordinalOf(message);
    const tokens = message.subject.split(".");
    if (ordinal === undefined || tokens.length !== 6) return [found];
    const uid = tokens[3];
    const last = this.#last.get(uid);
    if (last !== undefined && ordinal <= last) return [];
    if (last === undefined && this.#last.size >= REMEMBERED) {
      this.#last.clear();
      this.#fromFirst = false; // a workflow that is not remembered may be an old one
    }
    this.#last.set(uid, ordinal);
    const expected = (last ?? -1) + 1;
    if (ordinal > expected && (last !== undefined || this.#fromFirst)) {
      return [{ kind: "gap", workflowUid: uid, first: expected, last: ordinal - 1 }, found];
    }
    return [found];
  }
}

/** Make the durable, unless it is there; it then goes on where it stopped. */
async function makeConsumer(connection, durable) {
  const manager = await jetstreamManager(connection, { checkAPI: false });
  try {
    return await manager.consumers.info(STREAM, durable);
  } catch (error) {
    if (error.name !== "ConsumerNotFoundError" && error.code !== 10014) throw error;
    return await manager.consumers.add(STREAM, {
      durable_name: durable,
      filter_subject: "kubernaut.event.>",
      ack_policy: "explicit",
      ack_wait: 10_000_000_000,
      max_ack_pending: 1, // more lose the order when they come again
    });
  }
}

const durable = process.env.KUBERNAUT_DURABLE;
const server = new URL(process.env.NATS_URL);
const connection = await connect({
  servers: server.host,
  ...(server.protocol === "tls:" && { tls: {} }),
  // The client takes no user from the address; a credentials file goes in as `authenticator: credsAuthenticator(...)`.
  ...(server.username && { user: decodeURIComponent(server.username), pass: decodeURIComponent(server.password) }),
  name: durable,
  inboxPrefix: `_INBOX_${durable.replaceAll("-", "_")}`, // what the read-only role may listen on
  maxReconnectAttempts: -1,
});
const made = await makeConsumer(connection, durable);
const consumer = await jetstream(connection).consumers.get(STREAM, durable);
const messages = await consumer.consume({ max_messages: 1 });
process.once("SIGTERM", () => messages.close().then(() => connection.close()));
const ordinals = new Ordinals(made.delivered.stream_seq === 0);
for await (const message of messages) {
  for (const item of ordinals.take(message)) {
    await new Promise((done) => process.stdout.write(`${JSON.stringify(item)}\n`, done)); // your work
  }
  message.ack();
}
