"""Use cases: what the surfaces call. They see storage through its protocols only."""
