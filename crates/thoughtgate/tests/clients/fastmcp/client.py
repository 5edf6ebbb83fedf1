"""FastMCP's client."""

from calls import HEADERS, URL, answer, main, report
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport


async def client():
    async with Client(StreamableHttpTransport(URL, headers=HEADERS)) as session:

        async def list_tools():
            return [tool.name for tool in await session.list_tools()]

        async def call(tool, arguments):
            result = await session.call_tool(tool, arguments, raise_on_error=False)
            return answer(result.content, result.is_error)

        await report(list_tools, call)


main(client)
