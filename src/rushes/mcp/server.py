"""The server: which tools there are, what may be expected of each, and how an error of ours is told.

It speaks over the two streams that it is given and ends when the first one does. Calls that are under way are given
up then; their jobs go on.
"""

import difflib
import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import anyio
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.stdio import stdio_server
from mcp.types import CallToolResult, InputRequiredResult, TextContent, ToolAnnotations
from pydantic import ValidationError

from rushes.app import App
from rushes.errors import RushesError
from rushes.logs import without_secrets
from rushes.mcp.money import Allowance
from rushes.mcp.tools import Tools
from rushes.mcp.wire import Wire
from rushes.version import VERSION

log = logging.getLogger(__name__)

INSTRUCTIONS = (
    "rushes makes videos with many models, as durable jobs that are never paid twice. Making one can cost money: ask "
    "`price` first, and tell the user what it costs. `generate` answers at once with job ids; ask `status` until they "
    "are completed. Without a provider's key, the model `draft` makes free storyboards on this machine."
)

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
TOOLS: Mapping[str, tuple[str, ToolAnnotations]] = {
    "generate": (
        "Make a video",
        ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=True),
    ),
    # It may fetch a picture from the address that it is given, to see whether it fits.
    "price": ("What a video would cost", ToolAnnotations(read_only_hint=True, open_world_hint=True)),
    "status": ("How far a job is", READS),
    "list": ("List jobs and videos", READS),
    "models": ("What models can do and cost", READS),
    "download": (
        "Copy a video out of the library",
        ToolAnnotations(read_only_hint=False, destructive_hint=False, idempotent_hint=False, open_world_hint=False),
    ),
    "cancel": (
        "Cancel a job",
        ToolAnnotations(read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=True),
    ),
}


async def serve(app: App, wire: Wire, *, max_cost_usd: Decimal | None = None) -> None:
    """Serve one client until its end of the wire is closed, or `wire.stop` is called.

    `max_cost_usd` is what all of the session may spend together.
    """
    server = _Server(Tools(app, Allowance(app, max_cost_usd)))
    try:
        await server.serve(wire)
    except* BrokenPipeError:
        log.info("mcp.client_gone")


class _Server(MCPServer[Any]):
    """The library's server, with our words for errors."""

    def __init__(self, tools: Tools) -> None:
        made = [_tool(tools, name, title, hints) for name, (title, hints) in TOOLS.items()]
        super().__init__("rushes", title="rushes", instructions=INSTRUCTIONS, version=VERSION, tools=made)
        self._arguments = {tool.name: tuple(tool.parameters["properties"]) for tool in made}

    async def serve(self, wire: Wire) -> None:
        async with stdio_server(stdin=anyio.wrap_file(wire.lines)) as (read, write):
            try:
                await self._lowlevel_server.run(read, write, self._lowlevel_server.create_initialization_options())
            finally:
                wire.stop()  # the reader must not wait for a client that nobody answers any more

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool. What goes wrong on purpose is one line, as on the command line; the rest is a bug."""
        log.info("mcp.call", extra={"tool": name})
        if name in self._arguments and (words := misspelt(arguments, self._arguments[name])):
            return _told(words)
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, RushesError):
                return _told(without_secrets(str(cause)))
            if isinstance(cause, ValidationError):
                return _told(in_one_line(cause))
            raise


def _tool(tools: Tools, name: str, title: str, hints: ToolAnnotations) -> Tool:
    made = Tool.from_function(getattr(tools, name), name=name, title=title, annotations=hints)
    made.description = " ".join(made.description.split())
    made.parameters["additionalProperties"] = False
    return made


def misspelt(arguments: Mapping[str, Any], known: Sequence[str]) -> str | None:
    """What is wrong with an argument's name; None if there is nothing. Pure.

    Nothing is ignored in silence: it may be the one that limits the cost.
    """
    for name in arguments:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
            return f"There is no argument {name!r}. {hint}"
    return None


def in_one_line(error: ValidationError) -> str:
    """What is wrong with the arguments, without their values. Pure."""
    faults = [(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors(include_url=False)]
    return "; ".join(f"{name}: {words}" for name, words in faults)


def _told(words: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=" ".join(words.split()))], is_error=True)
