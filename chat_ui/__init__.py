"""The conversational dashboard: draws and asks, decides nothing."""
