"""Files in and out: headers, signal files, outputs, and what is found in a folder.

A recording leaves here as (12, n) float32 in mV with its header.
"""
