"""The single definition of features, baselines and forest scores: functions on numpy views of whole devices.

Contract of every kernel: rows are sorted by device and time, a device is never split over two calls, missing is NaN.
The batch walk, one-row scoring, streams and a distributed walk call the same functions. All release the GIL.
"""
