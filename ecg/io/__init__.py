"""Files in and out: headers, signal files, one module for each further format, outputs, what is found in a folder.

A recording leaves here as (12, n) float32 in mV with its header; readers of formats give a `Stored` (stored.py).
"""
