"""MCP: rushes as tools for assistants, over standard input and output. Needs the extra `mcp`."""

from rushes.mcp.server import serve
from rushes.mcp.wire import Wire

__all__ = ["Wire", "serve"]
