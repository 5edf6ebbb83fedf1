"""The official Python SDK, version 2, logs in: of the proxy it knows the URL alone.

A user's browser is left out: the code that it would bring back is a fixed one.
"""

import json
import urllib.parse

import httpx2
from calls import URL, main
from mcp import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.oauth2 import AuthorizationCodeResult
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata


class Storage:
    """Keeps tokens for as long as the process lives."""

    tokens = None
    client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def client():
    asked = {}

    async def show(url):
        asked.update(urllib.parse.parse_qsl(urllib.parse.urlparse(url).query))

    async def code():
        return AuthorizationCodeResult(code="code", state=asked["state"])

    about = OAuthClientMetadata(client_name="test", redirect_uris=["http://127.0.0.1:1/callback"])
    auth = OAuthClientProvider(URL, about, Storage(), show, code)
    async with httpx2.AsyncClient(auth=auth) as http:
        async with Client(streamable_http_client(URL, http_client=http)) as session:
            called = await session.call_tool("echo", {"text": "hello"})
    facts = {"answer": called.content[0].text, "resource": asked["resource"], "scope": asked["scope"]}
    print(json.dumps(facts), flush=True)


main(client)
