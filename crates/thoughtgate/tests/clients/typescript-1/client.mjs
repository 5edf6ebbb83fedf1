// The official TypeScript SDK, version 1: sessions, Streamable HTTP.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { answer, ENDPOINT, HEADERS, report } from "./calls.mjs";

const client = new Client({ name: "client", version: "1.0.0" });
const options = { requestInit: { headers: HEADERS } };
await client.connect(new StreamableHTTPClientTransport(new URL(ENDPOINT), options));
await report(
  async () => (await client.listTools()).tools.map((tool) => tool.name),
  async (name, input) => answer(await client.callTool({ name, arguments: input })),
);
await client.close();
