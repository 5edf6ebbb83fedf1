"""Pydantic AI: an agent whose model is scripted to make one call, and then to end."""

from calls import HEADERS, URL, answer, main, report
from pydantic_ai import Agent
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
from pydantic_ai.models.function import FunctionModel


async def client():
    async with MCPToolset(URL, headers=HEADERS) as toolset:

        async def list_tools():
            return [tool.name for tool in await toolset.list_tools()]

        async def call(tool, arguments):
            seen = []

            def scripted(messages, _):
                parts = [part for message in messages for part in message.parts]
                answers = [part for part in parts if isinstance(part, ToolReturnPart)]
                if not answers:
                    return ModelResponse(parts=[ToolCallPart(tool, arguments)])
                seen.extend(answers)
                return ModelResponse(parts=[TextPart("done")])

            model = FunctionModel(scripted)
            run = await Agent(model, toolsets=[toolset]).run("go")
            assert run.output == "done", run
            return answer(str(seen[0].content), seen[0].outcome != "success")

        await report(list_tools, call)


main(client)
