"""The machinery of the entry: the engine that runs any method, the second method, and the tools around them."""
