"""What is measured about all of it: cross-validation, accuracy, benchmarks."""
