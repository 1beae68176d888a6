"""The model folder: a config that says everything, weights without pickle, the model card.

Loading checks all of it.
"""
