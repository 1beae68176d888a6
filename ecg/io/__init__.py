"""ECG files in and out: one module for each format, and what their readers give back (stored.py)."""
