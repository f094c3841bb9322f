// Appends each change to a file, and answers when it is on disk: node sink.js FILE
const fs = require("fs");
const file = fs.openSync(process.argv[2], "a");
let rest = Buffer.alloc(0); // readline would also end a line at U+2028, which documents may have
process.stdin.on("data", (chunk) => {
  rest = Buffer.concat([rest, chunk]);
  for (let end; (end = rest.indexOf("\n") + 1); rest = rest.subarray(end)) {
    fs.writeSync(file, rest, 0, end);
    fs.fsyncSync(file);
    fs.writeSync(1, JSON.stringify({ id: JSON.parse(rest.subarray(0, end)).id }) + "\n");
  }
});
