"""The command `ecg`: one file a subcommand."""
