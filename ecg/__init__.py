"""The package behind the entry: from files through signals and networks to labels, and the tools around them."""
