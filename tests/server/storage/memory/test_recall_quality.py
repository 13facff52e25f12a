"""Whether the right decision is among the first five: see `recall_cases.py` for the cases and `recall_quality.py` for how."""

import importlib.util
from pathlib import Path


def test_numbers_and_words_together_find_at_least_what_each_finds_alone(memory):
    """Fused recall at 5 is no worse than by signature or by words, and at least .9; half of the cases share few words."""
    spec = importlib.util.spec_from_file_location("recall_quality", Path(__file__).with_name("recall_quality.py"))
    quality = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(quality)
    memory.remember(quality.past_decisions())
    share = quality.recall_at_5(memory)
    assert share["fused", "all"] >= max(share["signature", "all"], share["words", "all"], 0.9)
    assert share["fused", "far"] >= 0.9
