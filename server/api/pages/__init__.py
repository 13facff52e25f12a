"""The approval page: what is suggested, what it would do, and a person's yes or no."""
