// A receiver of webhooks: node receiver.mjs
import { createServer } from "node:http";
import pg from "pg";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

const LONGEST = 16 << 20;
const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const pool = new pg.Pool({ database: "notices" });
pool.on("error", (error) => console.error("idle connection:", error.message)); // the pool opens another one

// The work shares a transaction with the event's id: both are committed, or neither.
async function handle(database, event) {
  if (event.op === "c" || event.op === "u") {
    await database.query("INSERT INTO notices VALUES ($1, $2)", [event.after.id, event.after.status]);
  }
}

async function processEvent(id, event) {
  const database = await pool.connect();
  let failed = true;
  try {
    await database.query("BEGIN");
    const { rowCount } = await database.query("INSERT INTO processed VALUES ($1) ON CONFLICT DO NOTHING", [id]);
    if (rowCount === 1) await handle(database, event);
    await database.query("COMMIT");
    failed = false;
  } finally {
    database.release(failed); // true closes the connection, which rolls back
  }
}

async function readBody(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > LONGEST) return null;
    parts.push(part);
  }
  return Buffer.concat(parts);
}

async function answer(request) {
  if (request.method !== "POST" || request.url !== "/hook") return 404;
  const body = await readBody(request);
  if (body === null) return 413;
  let event;
  try {
    event = webhook.verify(body, request.headers);
  } catch (error) {
    if (error instanceof WebhookVerificationError) return 401;
    throw error;
  }
  await processEvent(request.headers["webhook-id"], event);
  return 204; // only now; any error before is a 500, and the event comes again
}

createServer(async (request, response) => {
  let status = 500;
  try {
    status = await answer(request);
  } catch (error) {
    console.error(error);
  }
  response.writeHead(status).end();
}).listen(Number(process.env.PORT ?? 8080), "127.0.0.1");
