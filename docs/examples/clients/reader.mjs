// Reads a slot with pg-logical-replication, appends each change to a file, and confirms what is on disk.
//
//     PGDATABASE=shop node reader.mjs SLOT FILE

import fs from "node:fs";
import replication from "pg-logical-replication";

const walspout = {
  name: "walspout",
  start: (client, slot, lsn) =>
    client.query(`START_REPLICATION SLOT "${slot}" LOGICAL ${lsn} (transactions 'true', numbers 'safe')`),
  parse: (bytes) => bytes.toString(),
};

const toNumber = (lsn) => {
  const [high, low] = lsn.split("/").map((part) => BigInt(`0x${part}`));
  return (high << 32n) | low;
};
const toText = (n) => `${(n >> 32n).toString(16)}/${(n & 0xffffffffn).toString(16)}`;

const [slot, path] = process.argv.slice(2);
const output = fs.openSync(path, "a");
// auto confirms what is not on disk yet, and so does the timer: both stay off.
const service = new replication.LogicalReplicationService({}, { acknowledge: { auto: false, timeoutSeconds: 0 } });

let confirmed = 0n;
let inTransaction = false;
let waiting = "";

// acknowledge() confirms one byte more than it is given. Beyond end_lsn the next transaction is lost.
async function confirm(position) {
  if (position > confirmed) confirmed = position;
  if (confirmed > 0n) await service.acknowledge(toText(confirmed - 1n));
}

service.on("data", (_, document) => {
  const event = JSON.parse(document);
  if (event.op === "begin") inTransaction = true;
  if (event.op === "commit") inTransaction = false;
  if (event.op !== "begin" && event.op !== "commit") waiting += document + "\n";
  if (!event.end_lsn) return; // neither a commit nor a message that is not transactional
  fs.writeSync(output, waiting);
  fs.fsyncSync(output);
  waiting = "";
  confirm(toNumber(event.end_lsn));
});
// The position is the last one that was sent: everything before is on disk when no transaction is open.
service.on("heartbeat", (lsn) => confirm(inTransaction ? confirmed : toNumber(lsn)));
service.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
service.subscribe(walspout, slot);
