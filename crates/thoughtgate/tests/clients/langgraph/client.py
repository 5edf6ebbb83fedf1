"""LangGraph with langchain-mcp-adapters: an agent whose model is scripted to make one call, and then to end."""

from calls import HEADERS, URL, answer, main, report
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_mcp_adapters.client import MultiServerMCPClient


class Scripted(GenericFakeChatModel):
    def bind_tools(self, tools, **_):
        return self


async def client():
    servers = {"server": {"transport": "streamable_http", "url": URL, "headers": HEADERS}}
    tools = await MultiServerMCPClient(servers).get_tools()

    async def list_tools():
        return [tool.name for tool in tools]

    async def call(tool, arguments):
        wish = AIMessage("", tool_calls=[{"name": tool, "args": arguments, "id": "1"}])
        model = Scripted(messages=iter([wish, AIMessage("done")]))
        run = await create_agent(model, tools).ainvoke({"messages": [("user", "go")]})
        seen = [message for message in run["messages"] if message.type == "tool"]
        assert run["messages"][-1].content == "done", run
        return answer(seen[0].text, seen[0].status == "error")

    await report(list_tools, call)


main(client)
