"""What cards show, as pure functions: what the server answered in, the props of a card out. Foreign text is capped."""
