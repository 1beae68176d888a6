"""How good a method is: the Challenge's score, statistics, cross-validation, tables; how far measurements are off."""
