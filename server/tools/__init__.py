"""The MCP surface: thin typed tools over the services, one file a subject."""
