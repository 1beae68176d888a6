"""How fast the project is, against straightforward references measured in the same run."""
