"""The same stages on Apache Spark: parts of whole devices, each worked on by the functions that the embedded engine calls."""
