"""The calls that each Python client makes, and their report: one line of JSON on standard output, the last one.

Knows no client: each one passes its way to list tools and to call one. Judges nothing: the Rust test does.
"""

import asyncio
import json
import sys
import time

URL = sys.argv[1]
"""The proxy's MCP endpoint."""

PATIENCE_SECONDS = float(sys.argv[2])
"""Time limit for the call that needs approval, all its tries together."""

HEADERS = {"x-agent": "alice"}
"""Name this agent to the proxy."""

ARGUMENT = "hello"
"""In the upstream's answer to the call that needs approval, and in no other answer."""


def answer(parts, is_error=None):
    """What the caller of a tool sees. `is_error` is None where a client has no such flag."""
    text = parts if isinstance(parts, str) else " ".join(part.text for part in parts)
    return {"text": text, "is_error": is_error}


async def report(list_tools, call):
    """Prints the report. `call` takes a tool and its arguments, and returns an `answer`."""
    facts = {
        "listed": sorted(await list_tools()),
        "permitted": await call("tool_0", {}),
        "refused": await call("tool_1", {"env": "prod"}),
        "approved": await approved(call),
    }
    print(json.dumps(facts), flush=True)


async def approved(call):
    """Sends the same call until its result arrives, as the pending answer asks; returns all tries."""
    started = time.monotonic()
    tries = []
    while time.monotonic() - started < PATIENCE_SECONDS:
        try:
            end = await call("echo", {"text": ARGUMENT})
        except Exception as error:  # A client's own timeout, of whatever class.
            end = answer(f"{type(error).__name__}: {error}", True)
        tries.append({"after_s": round(time.monotonic() - started, 1), **end})
        if ARGUMENT in end["text"]:
            break
        # The test may approve the call now.
        print(json.dumps({"try": end}), flush=True)
        await asyncio.sleep(0.5)
    return tries


def main(client):
    """Runs the client."""
    asyncio.run(client())
