"""What every engine returns, one row per cluster or per cell, and its way home."""
