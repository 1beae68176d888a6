"""Interpretation: from measurements and a model's probabilities to statements of the AHA/ACC/HRS list.

Criteria, limits and exclusions are tables in ``data``, each row with its source.
"""

from ecg.interpretation.contradictions import contradictions
from ecg.interpretation.doubts import doubts
from ecg.interpretation.interpret import Statement, interpret

__all__ = ["Statement", "contradictions", "doubts", "interpret"]
