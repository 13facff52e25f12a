"""The process that Spark forks Python workers from, with what they run imported already: else each one spends a second on it.

Spark starts it as `python -m`, by the option `spark.python.daemon.module`.
"""

from importlib import import_module

if __name__ == "__main__":
    import_module("server.engines.spark.engine")
    import_module("pyspark.daemon").manager()
