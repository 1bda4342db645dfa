"""What Claude gets of files: pictures and short documents to look at, words for everything else."""
