"""What is said of localizations afterwards: agreement with a truth, drift, linking, resolution."""
