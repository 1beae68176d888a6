"""Training any method: the dataset, folds, stages and checkpoints."""
