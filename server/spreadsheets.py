"""Spreadsheets run what looks like a formula, also in a CSV: how such a cell begins, for every surface that writes one."""

FORMULA = "^(\\s*[=+\\-@\\t\\r\\n\uff1d\uff0b\uff0d\uff20])"
"""How a cell begins that Excel or Calc takes for a formula; full-width signs count there as well.

For Python's `re` and for RE2, which Arrow has: both read it the same. An apostrophe in front makes the cell a text.
"""
