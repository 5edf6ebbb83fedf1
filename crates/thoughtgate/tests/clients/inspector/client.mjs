// The MCP Inspector's command line: one process for each call.

import { execFile } from "node:child_process";
import { answer, ENDPOINT, HEADERS, report } from "./calls.mjs";

const PROGRAM = "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js";
const headers = Object.entries(HEADERS).flatMap(([name, value]) => ["--header", `${name}: ${value}`]);
const run = (...method) =>
  new Promise((resolve, reject) => {
    const args = [PROGRAM, "--cli", ENDPOINT, "--transport", "http", ...headers, "--method", ...method];
    // A result with isError has an exit code of its own, and is on standard output all the same.
    execFile(process.execPath, args, (_, out, err) => {
      try {
        resolve(JSON.parse(out));
      } catch {
        reject(new Error(err.trim() || out));
      }
    });
  });
await report(
  async () => (await run("tools/list")).tools.map((tool) => tool.name),
  async (name, input) =>
    answer(await run("tools/call", "--tool-name", name, "--tool-args-json", JSON.stringify(input))),
);
