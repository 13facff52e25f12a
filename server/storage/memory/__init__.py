"""What was decided before, found again by its numbers and its words, on Qdrant."""

from server.storage.memory.embeddings import Embedder, OllamaEmbedder
from server.storage.memory.qdrant import QdrantMemory

__all__ = ["Embedder", "OllamaEmbedder", "QdrantMemory"]
