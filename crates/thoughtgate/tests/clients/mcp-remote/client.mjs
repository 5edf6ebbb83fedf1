// mcp-remote, by which clients that only start local servers reach the proxy: JSON-RPC on its standard streams.

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { answer, ENDPOINT, HEADERS, report } from "./calls.mjs";

const headers = Object.entries(HEADERS).flatMap(([name, value]) => ["--header", `${name}:${value}`]);
const bridge = spawn(
  process.execPath,
  ["node_modules/mcp-remote/dist/proxy.js", ENDPOINT, ...headers],
  { stdio: ["pipe", "pipe", "inherit"] },
);
const waiting = new Map();
createInterface(bridge.stdout).on("line", (line) => {
  const message = JSON.parse(line);
  waiting.get(message.id)?.(message);
});
// Its clients end a call after a minute, as the official SDK does.
const TIMEOUT_MS = 60_000;
let last = 0;
const send = (message) => bridge.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
const ask = (method, params) =>
  new Promise((resolve, reject) => {
    const id = ++last;
    const timer = setTimeout(() => {
      send({ method: "notifications/cancelled", params: { requestId: id, reason: "timed out" } });
      reject(new Error(`${method} timed out`));
    }, TIMEOUT_MS);
    waiting.set(id, ({ result, error }) => {
      clearTimeout(timer);
      error ? reject(new Error(`${error.code} ${error.message}`)) : resolve(result);
    });
    send({ id, method, params });
  });
await ask("initialize", {
  protocolVersion: "2025-11-25",
  capabilities: {},
  clientInfo: { name: "client", version: "1.0.0" },
});
send({ method: "notifications/initialized" });
await report(
  async () => (await ask("tools/list", {})).tools.map((tool) => tool.name),
  async (name, input) => answer(await ask("tools/call", { name, arguments: input })),
);
bridge.kill();
