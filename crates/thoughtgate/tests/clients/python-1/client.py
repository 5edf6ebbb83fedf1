"""The official Python SDK, version 1: sessions, Streamable HTTP."""

from calls import HEADERS, URL, answer, main, report
from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client


async def client():
    async with streamablehttp_client(URL, headers=HEADERS) as (read, write, _), ClientSession(read, write) as session:
        await session.initialize()

        async def list_tools():
            return [tool.name for tool in (await session.list_tools()).tools]

        async def call(tool, arguments):
            result = await session.call_tool(tool, arguments)
            return answer(result.content, result.isError)

        await report(list_tools, call)


main(client)
