"""Plans attempts for borrowers who are behind, and releases them when they are due."""
