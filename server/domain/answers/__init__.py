"""What the server answers when asked what is wrong, why, since when, and whether its numbers can be trusted.

Every answer has a `summary` with its numbers; counts are those of the stores, rates carry their denominators, times are UTC.
"""
