"""The analyst: an agent that uses the server's tools over MCP."""
