"""The official Python SDK, version 2: the stateless era, found by itself."""

import httpx2
from calls import HEADERS, URL, answer, main, report
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def client():
    # As the SDK makes its own client: answers may take five minutes.
    async with httpx2.AsyncClient(headers=HEADERS, timeout=httpx2.Timeout(30, read=300)) as http:
        async with Client(streamable_http_client(URL, http_client=http)) as session:

            async def list_tools():
                return [tool.name for tool in (await session.list_tools()).tools]

            async def call(tool, arguments):
                result = await session.call_tool(tool, arguments)
                return answer(result.content, result.is_error)

            await report(list_tools, call)


main(client)
