"""Raw movies in, localizations and reports out: every file format, one file each."""
