"""What a method is (`base`), and the methods: input, network, training, decision.

Zhao et al.'s own stands in `team_code.py`, with the registry.
"""
