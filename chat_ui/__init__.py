"""The chat: a dashboard that can be talked to. It draws and asks; the server decides."""
