"""Every flag of every command. Nothing heavy is imported here, so that --help answers at once."""
