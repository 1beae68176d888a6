"""Neural networks and losses as PyTorch modules and functions.

They know shapes, not methods.
"""
