// The calls that each JavaScript client makes, and their report: one line of JSON on standard output, the last one.
//
// Knows no client: each one passes its way to list tools and to call one. Judges nothing: the Rust test does.

/** The proxy's MCP endpoint. */
export const ENDPOINT = process.argv[2];
/** Time limit for the call that needs approval, all its tries together. */
const PATIENCE_SECONDS = Number(process.argv[3]);
/** Name this agent to the proxy. */
export const HEADERS = { "x-agent": "alice" };
/** In the upstream's answer to the call that needs approval, and in no other answer. */
const ARGUMENT = "hello";

/** What the caller of a tool sees. */
export const answer = (result) => ({
  text: result.content.map((part) => part.text).join(" "),
  is_error: result.isError ?? false,
});

/** Prints the report. `call` takes a tool and its arguments, and returns an `answer`. */
export async function report(listTools, call) {
  const facts = {
    listed: (await listTools()).sort(),
    permitted: await call("tool_0", {}),
    refused: await call("tool_1", { env: "prod" }),
    approved: await approved(call),
  };
  process.stdout.write(`${JSON.stringify(facts)}\n`);
}

/** Sends the same call until its result arrives, as the pending answer asks; returns all tries. */
async function approved(call) {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const tries = [];
  while (seconds() < PATIENCE_SECONDS) {
    // The error is a client's own timeout, of whatever class.
    const failed = (error) => ({ text: `${error.name}: ${error.message}`, is_error: true });
    const end = await call("echo", { text: ARGUMENT }).catch(failed);
    tries.push({ after_s: Math.round(seconds() * 10) / 10, ...end });
    if (end.text.includes(ARGUMENT)) break;
    // The test may approve the call now.
    process.stdout.write(`${JSON.stringify({ try: end })}\n`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  return tries;
}
