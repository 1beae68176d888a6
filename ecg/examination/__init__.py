"""One pass over recordings: each is read once, filtered once and measured once."""
