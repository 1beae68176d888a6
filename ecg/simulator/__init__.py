"""Simulated 12-lead ECGs with known diagnoses, intervals and beats.

From a heart dipole through noise to Challenge files.
"""
