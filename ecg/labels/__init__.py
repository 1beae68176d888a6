"""What a diagnosis is, as data: codes, names, equivalents."""
