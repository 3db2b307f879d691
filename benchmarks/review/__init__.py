"""The page at a million cells, in Chromium without a GPU."""
