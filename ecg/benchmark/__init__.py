"""How fast the project is, against plain references measured in the same run."""
