"""The process that Spark forks Python workers from, with what they run imported already: else each one spends seconds on it.

Spark starts it as `python -m`, by the option `spark.python.daemon.module`.
"""

from importlib import import_module

import numpy as np

if __name__ == "__main__":
    import_module("server.engines.spark.engine")
    # the first compiled function that is called brings the compiler's runtime with it, whichever it is
    import_module("server.kernels.medians").rows_by_group(np.zeros(1, np.int32), 1)
    import_module("pyspark.daemon").manager()
