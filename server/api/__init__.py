"""The HTTP surface: the verbs of the tools under /api/v1, and the page on which a person decides on suggestions."""
