"""Where training images come from: collections, splits, and the phantom that the project draws itself."""
