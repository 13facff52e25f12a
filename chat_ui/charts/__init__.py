"""Charts as pure functions: what the server answered in, a figure out. Each says its window, time zone and n."""
