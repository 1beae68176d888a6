"""Running a model: windows through networks in batches, and over a folder of recordings."""
