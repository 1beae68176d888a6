"""How commands run on a machine: exit status, device and precision, threads, progress.

Nothing here knows what an ECG is.
"""
