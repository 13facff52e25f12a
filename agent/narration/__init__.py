"""Short plain answers from what the tools returned: no model writes them, so every number is one that a tool gave."""
