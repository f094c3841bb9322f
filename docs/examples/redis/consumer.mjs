// Reads a stream as one consumer of a group: node consumer.mjs NAME
import pg from "pg";
import { createClient } from "redis";

const STREAM = "walspout:shop:public.orders";
const GROUP = "notices";
const CLAIM_AFTER_MS = Number(process.env.CLAIM_AFTER_MS ?? 60_000); // longer than any event takes

// The work shares a transaction with the event's id: both are committed, or neither.
async function handle(database, event) {
  if (event.op === "c" || event.op === "u") {
    await database.query("INSERT INTO notices VALUES ($1, $2)", [event.after.id, event.after.status]);
  }
}

async function processEvent(database, event) {
  await database.query("BEGIN");
  const { rowCount } = await database.query("INSERT INTO processed VALUES ($1) ON CONFLICT DO NOTHING", [event.id]);
  if (rowCount === 1) await handle(database, event);
  await database.query("COMMIT");
}

async function consume(store, database, name) {
  await store.xGroupCreate(STREAM, GROUP, "0", { MKSTREAM: true }).catch((error) => {
    if (!error.message.startsWith("BUSYGROUP")) throw error;
  });
  for (let position = "0-0"; ; ) {
    // First take entries that a dead or failed consumer did not finish. One at a time: an entry that always fails
    // delays no other.
    const claimed = await store.xAutoClaim(STREAM, GROUP, name, CLAIM_AFTER_MS, position, { COUNT: 1 });
    position = claimed.nextId;
    let entries = claimed.messages;
    if (entries.length === 0) {
      const unread = [{ key: STREAM, id: ">" }];
      const answer = await store.xReadGroup(GROUP, name, unread, { COUNT: 10, BLOCK: 1000 });
      entries = answer?.[0].messages ?? [];
    }
    for (const { id, message } of entries) {
      await processEvent(database, JSON.parse(message.data));
      await store
        .multi()
        .xAck(STREAM, GROUP, id)
        .xDel(STREAM, id) // leave this out if the stream has other groups
        .exec();
    }
  }
}

// Any error ends the program. Its supervisor starts it again, and no entry is lost.
const store = createClient({ url: process.env.REDIS_URL ?? "redis://127.0.0.1:6379", socket: { reconnectStrategy: false } });
await store.connect();
const database = new pg.Client({ database: "notices" });
await database.connect();
await consume(store, database, process.argv[2]);
