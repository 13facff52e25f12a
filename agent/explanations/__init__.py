"""Explanations of single anomalies for several readers: written with blanks, filled by code, checked, and kept."""

from agent.explanations.explaining import Explained, explain
from agent.explanations.readers import Audience

__all__ = ["Audience", "Explained", "explain"]
