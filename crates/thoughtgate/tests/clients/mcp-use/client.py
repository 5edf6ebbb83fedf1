"""The client of mcp-use."""

from calls import HEADERS, URL, answer, main, report
from mcp_use import MCPClient


async def client():
    servers = MCPClient.from_dict({"mcpServers": {"server": {"url": URL, "headers": HEADERS}}})
    session = await servers.create_session("server")

    async def list_tools():
        return [tool.name for tool in await session.list_tools()]

    async def call(tool, arguments):
        result = await session.call_tool(tool, arguments)
        return answer(result.content, result.isError)

    try:
        await report(list_tools, call)
    finally:
        await servers.close_all_sessions()


main(client)
