"""Floor 7: SavedModels."""
