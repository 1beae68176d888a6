"""Operations on signals: sampling frequency, filters, windows, corruptions.

numpy and scipy only.
"""
