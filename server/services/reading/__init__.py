"""Answers to questions, one subject a file; `server.services.questions` is the door."""
