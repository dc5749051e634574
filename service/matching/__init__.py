"""What a query means: which features are compared, and how scores become a ranking."""
