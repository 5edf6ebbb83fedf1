"""The OpenAI Agents SDK: an agent whose model is scripted to make one call, and then to end."""

import json

from agents import Agent, Runner
from agents import Model, ModelResponse, Usage, set_tracing_disabled
from agents.mcp import MCPServerStreamableHttp
from calls import HEADERS, URL, answer, main, report
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

# It would report runs to its makers.
set_tracing_disabled(True)


class Scripted(Model):
    """Calls a tool, then ends."""

    def __init__(self, tool, arguments):
        wish = ResponseFunctionToolCall(
            type="function_call", call_id="1", name=tool, arguments=json.dumps(arguments)
        )
        text = ResponseOutputText(type="output_text", text="done", annotations=[])
        end = ResponseOutputMessage(
            type="message", id="2", role="assistant", status="completed", content=[text]
        )
        self.answers = [wish, end]
        self.seen = []

    async def get_response(self, system_instructions, input, *_, **__):
        self.seen = input
        return ModelResponse(output=[self.answers.pop(0)], usage=Usage(), response_id=None)

    def stream_response(self, *_, **__):
        raise NotImplementedError


async def client():
    async with MCPServerStreamableHttp(params={"url": URL, "headers": HEADERS}) as server:

        async def list_tools():
            return [tool.name for tool in await server.list_tools()]

        async def call(tool, arguments):
            model = Scripted(tool, arguments)
            agent = Agent(name="agent", model=model, mcp_servers=[server])
            run = await Runner.run(agent, "go")
            outputs = [item["output"] for item in model.seen if item.get("type") == "function_call_output"]
            assert run.final_output == "done", run
            # The SDK passes on the text alone.
            return answer(outputs[0] if isinstance(outputs[0], str) else json.dumps(outputs[0]))

        await report(list_tools, call)


main(client)
