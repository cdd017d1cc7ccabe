"""Records of finished runs: read from their folders, or collected into a few small files and read from these."""
