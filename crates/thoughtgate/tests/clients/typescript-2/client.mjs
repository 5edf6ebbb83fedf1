// The official TypeScript SDK, version 2, told to find the stateless era.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { answer, ENDPOINT, HEADERS, report } from "./calls.mjs";

const modern = { versionNegotiation: { mode: "auto" } };
const client = new Client({ name: "client", version: "1.0.0" }, modern);
const options = { requestInit: { headers: HEADERS } };
await client.connect(new StreamableHTTPClientTransport(new URL(ENDPOINT), options));
await report(
  async () => (await client.listTools()).tools.map((tool) => tool.name),
  async (name, input) => answer(await client.callTool({ name, arguments: input })),
);
await client.close();
